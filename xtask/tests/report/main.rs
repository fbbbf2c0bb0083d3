mod fixture;
fn main() {
    let d = std::env::args().nth(1).unwrap();
    fixture::write(std::path::Path::new(&d), fixture::RUN);
}
