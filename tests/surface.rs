//! The root of the crate shows few names, so that a reader of its page finds the ideas. The modules
//! of adapters and of TLS are not counted: each is one line of the page, behind its feature.
use syn::{Item, UseTree, Visibility};

const MOST_NAMES: usize = 40;

#[test]
fn the_root_has_at_most_forty_names_and_lists_each() {
    let mut names = Vec::new();
    for item in syn::parse_file(include_str!("../src/lib.rs"))
        .unwrap()
        .items
    {
        match item {
            Item::Use(item) if matches!(item.vis, Visibility::Public(_)) => {
                collect(&item.tree, &mut names);
            }
            Item::Mod(item) if matches!(item.vis, Visibility::Public(_)) => {
                names.push(item.ident.to_string());
            }
            _ => {}
        }
    }
    assert!(names.contains(&"serve_with".to_owned()), "{names:?}");
    assert!(!names.contains(&"*".to_owned()), "a glob hides its names");
    let count = names.len();
    assert!(
        count <= MOST_NAMES,
        "{count} names at the root; move some to a module: {names:?}"
    );
}

fn collect(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => collect(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, names)),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        // `pub use anyport_axum as axum`
        UseTree::Rename(_) => {}
        UseTree::Glob(_) => names.push("*".to_owned()),
    }
}
