//! The order of RFC 6724 and the interleaving of RFC 8305, by tables.
use crate::{candidates::Candidates, order};
use std::{cell::RefCell, collections::HashMap, net::IpAddr};

/// Destinations as answered, `destination` or `destination<source`: without a source, it is
/// unusable. Then the order in which they are tried.
struct Table {
    rule: &'static str,
    answered: &'static str,
    tried: &'static str,
}

const TABLES: &[Table] = &[
    // The examples of RFC 6724, section 10.2, but those of home and deprecated addresses.
    Table {
        rule: "10.2: prefer matching scope",
        answered: "198.51.100.121<169.254.13.78 2001:db8:1::1<2001:db8:1::2",
        tried: "2001:db8:1::1 198.51.100.121",
    },
    Table {
        rule: "10.2: prefer matching scope, IPv4",
        answered: "2001:db8:1::1<fe80::1 198.51.100.121<198.51.100.117",
        tried: "198.51.100.121 2001:db8:1::1",
    },
    Table {
        rule: "10.2: prefer higher precedence",
        answered: "10.1.2.3<10.1.2.4 2001:db8:1::1<2001:db8:1::2",
        tried: "2001:db8:1::1 10.1.2.3",
    },
    Table {
        rule: "10.2: prefer smaller scope",
        answered: "2001:db8:1::1<2001:db8:1::2 fe80::1<fe80::2",
        tried: "fe80::1 2001:db8:1::1",
    },
    Table {
        rule: "10.2: longest matching prefix",
        answered: "2001:db8:3ffe::1<2001:db8:3f44::2 2001:db8:1::1<2001:db8:1::2",
        tried: "2001:db8:1::1 2001:db8:3ffe::1",
    },
    Table {
        rule: "10.2: prefer matching label",
        answered: "2001:db8:1::1<2002:c633:6401::2 2002:c633:6401::1<2002:c633:6401::2",
        tried: "2002:c633:6401::1 2001:db8:1::1",
    },
    Table {
        rule: "10.2: prefer higher precedence than 6to4's",
        answered: "2002:c633:6401::1<2002:c633:6401::2 2001:db8:1::1<2001:db8:1::2",
        tried: "2001:db8:1::1 2002:c633:6401::1",
    },
    // Each rule on its own.
    Table {
        rule: "1: avoid unusable destinations",
        answered: "2001:db8::1 192.0.2.1<192.0.2.9",
        tried: "192.0.2.1 2001:db8::1",
    },
    Table {
        rule: "1: unusable within a family",
        answered: "2001:db8::1 2001:db8::2<2001:db8::9 2001:db8::3<2001:db8::9",
        tried: "2001:db8::2 2001:db8::3 2001:db8::1",
    },
    Table {
        rule: "1: no destination is usable",
        answered: "192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2",
        tried: "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2",
    },
    Table {
        rule: "2: a link-local source reaches no global destination",
        answered: "192.0.2.1<169.254.0.9 192.0.2.2<192.0.2.9",
        tried: "192.0.2.2 192.0.2.1",
    },
    Table {
        rule: "5: Teredo to a native destination differs in label",
        answered: "2001:db8::1<2001::9 192.0.2.1<192.0.2.9",
        tried: "192.0.2.1 2001:db8::1",
    },
    Table {
        rule: "5: a unique local source for a global destination differs in label",
        answered: "2001:db8::1<fd00::9 192.0.2.1<192.0.2.9",
        tried: "192.0.2.1 2001:db8::1",
    },
    Table {
        rule: "6: unique local addresses come after IPv4",
        answered: "fd00::1<fd00::9 192.0.2.1<192.0.2.9",
        tried: "192.0.2.1 fd00::1",
    },
    Table {
        rule: "6: loopback of IPv6 comes first",
        answered: "127.0.0.1<127.0.0.1 ::1<::1",
        tried: "::1 127.0.0.1",
    },
    Table {
        rule: "6: Teredo, site-local and 6bone come last",
        answered: "3ffe::1<3ffe::9 2001::1<2001::9 2001:db8::1<2001:db8::9",
        tried: "2001:db8::1 2001::1 3ffe::1",
    },
    Table {
        rule: "8: loopback of IPv4 is smaller than global",
        answered: "192.0.2.1<192.0.2.9 127.0.0.1<127.0.0.1",
        tried: "127.0.0.1 192.0.2.1",
    },
    Table {
        rule: "9: no prefix of IPv4 is compared",
        answered: "198.51.100.1<192.0.2.9 192.0.2.8<192.0.2.9",
        tried: "198.51.100.1 192.0.2.8",
    },
    Table {
        rule: "9: no more than 64 bits are compared",
        answered: "2001:db8::f000:0:0:1<2001:db8::9 2001:db8::8<2001:db8::9",
        tried: "2001:db8::f000:0:0:1 2001:db8::8",
    },
    Table {
        rule: "10: equals keep the order of the answer",
        answered: "192.0.2.3<192.0.2.9 192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9",
        tried: "192.0.2.3 192.0.2.1 192.0.2.2",
    },
    // The interleaving.
    Table {
        rule: "interleaved: families in turn",
        answered: "192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9 2001:db8::1<2001:db8::9 2001:db8::2<2001:db8::9",
        tried: "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2",
    },
    Table {
        rule: "interleaved: more of IPv6",
        answered: "2001:db8::1<2001:db8::9 2001:db8::2<2001:db8::9 2001:db8::3<2001:db8::9 192.0.2.1<192.0.2.9",
        tried: "2001:db8::1 192.0.2.1 2001:db8::2 2001:db8::3",
    },
    Table {
        rule: "interleaved: more of IPv4",
        answered: "2001:db8::1<2001:db8::9 192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9 192.0.2.3<192.0.2.9",
        tried: "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3",
    },
    Table {
        rule: "interleaved: the best is IPv4",
        answered: "fd00::1<fd00::9 fd00::2<fd00::9 192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9",
        tried: "192.0.2.1 fd00::1 192.0.2.2 fd00::2",
    },
    Table {
        rule: "interleaved: one of a family that the host lacks",
        answered: "2001:db8::1 2001:db8::2 192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9",
        tried: "192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2",
    },
];

thread_local! {
    static SOURCES: RefCell<HashMap<IpAddr, IpAddr>> = RefCell::default();
}

fn source(destination: IpAddr) -> Option<IpAddr> {
    SOURCES.with_borrow(|sources| sources.get(&destination).copied())
}

/// The destinations; their sources are found by [`source`].
fn parse(answered: &str) -> Vec<IpAddr> {
    let parse = |address: &str| address.parse::<IpAddr>().unwrap();
    let pairs = answered
        .split_whitespace()
        .map(|pair| match pair.split_once('<') {
            Some((destination, source)) => (parse(destination), Some(parse(source))),
            None => (parse(pair), None),
        });
    let pairs: Vec<_> = pairs.collect();
    let sources = pairs
        .iter()
        .filter_map(|(destination, source)| Some((*destination, (*source)?)));
    SOURCES.set(sources.collect());
    pairs
        .into_iter()
        .map(|(destination, _)| destination)
        .collect()
}

fn take_all(candidates: &mut Candidates) -> String {
    let all = std::iter::from_fn(|| candidates.next(None));
    all.map(|address| address.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn addresses_are_tried_in_the_order_of_each_table() {
    for table in TABLES {
        let mut candidates = Candidates::new(16, source);
        candidates.add(parse(table.answered));
        assert_eq!(take_all(&mut candidates), table.tried, "{}", table.rule);
    }
}

#[test]
fn late_addresses_are_sorted_among_those_that_wait() {
    let mut candidates = Candidates::new(16, source);
    let sources = "192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9 192.0.2.3<192.0.2.9 \
        2001:db8::1<2001:db8::9 fd00::1<fd00::9";
    parse(sources);
    let add = |candidates: &mut Candidates, addresses: &str| {
        candidates.add(addresses.split_whitespace().map(|a| a.parse().unwrap()))
    };
    add(&mut candidates, "192.0.2.1 192.0.2.2 fd00::1");
    assert_eq!(candidates.next(None), "192.0.2.1".parse().ok());
    add(&mut candidates, "192.0.2.3 2001:db8::1");
    assert_eq!(
        take_all(&mut candidates),
        "2001:db8::1 192.0.2.2 fd00::1 192.0.2.3"
    );
}

#[test]
fn system_names_the_source_of_loopback() {
    let loopback = "127.0.0.1".parse().unwrap();
    assert_eq!(order::source_address(loopback), Some(loopback));
    let elsewhere = order::source_address("127.8.9.10".parse().unwrap());
    assert!(
        elsewhere.is_some_and(|source| source.is_loopback()),
        "{elsewhere:?}"
    );
}
