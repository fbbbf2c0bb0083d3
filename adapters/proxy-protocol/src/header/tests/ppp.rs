//! Compares the results for generated inputs with those of another parser, `ppp`.
use super::{
    bytes::{SIGNATURE, tlv, v2, with_checksum},
    *,
};
use ::ppp::{PartialResult, v1, v2 as version_2};
use fastrand::Rng;

/// How many inputs each run generates.
const INPUTS: u64 = 20_000;

#[test]
fn parsers_agree_on_generated_inputs() {
    let differences = compare(INPUTS);
    assert!(differences.agreed > 0 && differences.clients > 0);
}

/// `cargo test -p anyport-proxy-protocol --lib -- --ignored million --nocapture`
#[test]
#[ignore = "takes half a minute: by hand"]
fn parsers_agree_on_a_million_generated_inputs() {
    println!("{:#?}", compare(1_000_000));
}

/// How often the parsers agreed, and the reasons why they did not.
#[derive(Debug, Default)]
struct Differences {
    agreed: u64,
    /// The headers among them that name a client.
    clients: u64,
    /// This parser checks a line when it is complete. `ppp` checks its beginning.
    line_is_incomplete: u64,
    /// For this parser, a line ends at its first LF. For `ppp`, it ends at the first CR.
    line_ended: u64,
    /// This parser ignores the text after UNKNOWN. `ppp` requires UTF-8, and at most five fields.
    after_unknown: u64,
    /// `ppp` accepts a sign in a port.
    sign: u64,
    /// This parser ignores the block of LOCAL. `ppp` parses it.
    local: u64,
    /// This parser rejects a header of more than 4096 bytes by its length.
    too_long: u64,
    /// `ppp` accepts families that the protocol does not assign, and refuses invalid families
    /// before the block has arrived.
    family: u64,
    /// `ppp` does not check the values.
    values: u64,
    /// `ppp` checks the second half of the fixed part only when all of it has arrived.
    command: u64,
}

fn compare(inputs: u64) -> Differences {
    let mut differences = Differences::default();
    for seed in 0..inputs {
        let input = input(&mut Rng::with_seed(seed));
        let ours = outcome(&input);
        let theirs = theirs(&input);
        if ours_is(&ours, &theirs) {
            differences.agreed += 1;
            differences.clients += u64::from(matches!(ours, Outcome::Client(..)));
            continue;
        }
        match differences.reason(&input, &ours, &theirs) {
            Some(reason) => *reason += 1,
            None => panic!(
                "seed {seed}, \"{}\": {ours:?}, but ppp: {theirs:?}",
                input.escape_ascii()
            ),
        }
    }
    differences
}

/// Compares two outcomes without their messages, which differ.
fn ours_is(ours: &Outcome, theirs: &Outcome) -> bool {
    matches!((ours, theirs), (Outcome::Invalid(_), Outcome::Invalid(_))) || ours == theirs
}

impl Differences {
    fn reason(&mut self, input: &[u8], ours: &Outcome, theirs: &Outcome) -> Option<&mut u64> {
        use Outcome::{Client, Incomplete, Invalid, Proxy};
        if input.starts_with(b"P") {
            return match (ours, theirs) {
                (Incomplete, Invalid(_)) => Some(&mut self.line_is_incomplete),
                (Invalid(_), Incomplete) => Some(&mut self.line_ended),
                (Invalid(error), Proxy(_)) if error.contains("without CR") => {
                    Some(&mut self.line_ended)
                }
                (Proxy(_), _) if input.starts_with(b"PROXY UNKNOWN") => {
                    Some(&mut self.after_unknown)
                }
                (Invalid(error), Client(..)) if error.contains('+') => Some(&mut self.sign),
                _ => None,
            };
        }
        let command = input.get(SIGNATURE.len()).copied();
        let family = input.get(SIGNATURE.len() + 1).copied().unwrap_or_default();
        match (ours, theirs) {
            (Proxy(_), Invalid(_)) if command == Some(0x20) => Some(&mut self.local),
            // `ppp` reports a block that is too short for its family before the rest of it has
            // arrived.
            (Incomplete, Invalid(_)) if command == Some(0x20) => Some(&mut self.local),
            (Incomplete, Invalid(_)) => Some(&mut self.family),
            (Invalid(error), _) if error.contains("at most 4096") => Some(&mut self.too_long),
            (Invalid(error), Incomplete) if error.contains("version and command") => {
                Some(&mut self.command)
            }
            (Invalid(error), Client(..) | Proxy(_))
                if error.contains("address block")
                    && (family & 0xF == 0 || family >> 4 == 0)
                    && family != 0 =>
            {
                Some(&mut self.family)
            }
            (Invalid(_), Client(..) | Proxy(_)) if has_bad_value(input) => Some(&mut self.values),
            _ => None,
        }
    }
}

/// Whether a value is malformed, according to `ppp`'s iterator and the protocol's text.
fn has_bad_value(input: &[u8]) -> bool {
    let Ok(header) = version_2::Header::try_from(input) else {
        return false;
    };
    let bytes = header.as_bytes().to_vec();
    // `ppp` finds no values in a header without addresses.
    let addresses = [0, 12, 36, 216][usize::from(bytes[13] >> 4)];
    version_2::TypeLengthValues::from(&bytes[16 + addresses..]).any(|value| {
        let Ok(value) = value else { return true };
        let bytes_of = &*value.value;
        match value.kind {
            2 | 0x21..=0x25 | 0x30 => std::str::from_utf8(bytes_of).is_err(),
            3 => bytes_of.len() != 4 || !has_checksum(&bytes, bytes_of),
            5 => bytes_of.len() > 128,
            0x20 => {
                bytes_of.len() < 5
                    || version_2::TypeLengthValues::from(&bytes_of[5..]).any(|inner| {
                        inner.is_err()
                            || inner.is_ok_and(|inner| {
                                matches!(inner.kind, 2 | 0x21..=0x25 | 0x30)
                                    && std::str::from_utf8(&inner.value).is_err()
                                    || inner.kind == 3 && inner.value.len() != 4
                                    || inner.kind == 0x20 && inner.value.len() < 5
                            })
                    })
            }
            _ => false,
        }
    })
}

/// Whether the checksum is right, at any position in the header.
fn has_checksum(header: &[u8], value: &[u8]) -> bool {
    let places = (0..header.len() - 3).filter(|&at| &header[at..at + 4] == value);
    places.into_iter().any(|at| {
        let mut zeroed = header.to_vec();
        zeroed[at..at + 4].fill(0);
        let computed = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&zeroed);
        computed.to_be_bytes() == value
    })
}

fn theirs(input: &[u8]) -> Outcome {
    fn unless<T, E: PartialResult + std::fmt::Debug>(parsed: &Result<T, E>) -> Option<Outcome> {
        match parsed {
            Ok(_) => None,
            Err(_) if parsed.is_incomplete() => Some(Outcome::Incomplete),
            Err(error) => Some(Outcome::Invalid(format!("{error:?}"))),
        }
    }
    if input.starts_with(b"P") {
        let parsed = v1::Header::try_from(input);
        if let Some(failed) = unless(&parsed) {
            return failed;
        }
        let header = parsed.unwrap();
        let length = header.header.len();
        return match header.addresses {
            v1::Addresses::Unknown => Outcome::Proxy(length),
            v1::Addresses::Tcp4(a) => client(
                length,
                (a.source_address.into(), a.source_port),
                (a.destination_address.into(), a.destination_port),
            ),
            v1::Addresses::Tcp6(a) => client(
                length,
                (a.source_address.into(), a.source_port),
                (a.destination_address.into(), a.destination_port),
            ),
        };
    }
    let parsed = version_2::Header::try_from(input);
    if let Some(failed) = unless(&parsed) {
        return failed;
    }
    let header = parsed.unwrap();
    let length = header.len();
    if header.command == version_2::Command::Local {
        return Outcome::Proxy(length);
    }
    match header.addresses {
        version_2::Addresses::Unspecified => Outcome::Proxy(length),
        version_2::Addresses::IPv4(a) => client(
            length,
            (a.source_address.into(), a.source_port),
            (a.destination_address.into(), a.destination_port),
        ),
        version_2::Addresses::IPv6(a) => client(
            length,
            (a.source_address.into(), a.source_port),
            (a.destination_address.into(), a.destination_port),
        ),
        version_2::Addresses::Unix(a) => {
            let path = |bytes: [u8; 108]| {
                let path: Vec<u8> = bytes.into_iter().take_while(|&byte| byte != 0).collect();
                use std::os::unix::ffi::OsStrExt;
                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(&path));
                format!("unix:{}", path.display())
            };
            Outcome::Client(length, path(a.source), path(a.destination))
        }
    }
}

fn client(
    length: usize,
    source: (std::net::IpAddr, u16),
    destination: (std::net::IpAddr, u16),
) -> Outcome {
    let shown = |address| std::net::SocketAddr::from(address).to_string();
    Outcome::Client(length, shown(source), shown(destination))
}

/// A valid or nearly valid header, which may be truncated, changed, or followed by other bytes.
fn input(rng: &mut Rng) -> Vec<u8> {
    let mut input = match rng.u8(..4) {
        0 | 1 => line(rng),
        _ => binary(rng),
    };
    for _ in 0..rng.u8(..4).saturating_sub(1) {
        mutate(&mut input, rng);
    }
    if rng.bool() {
        input.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    }
    input
}

fn mutate(input: &mut Vec<u8>, rng: &mut Rng) {
    if input.is_empty() {
        return;
    }
    let at = rng.usize(..input.len());
    match rng.u8(..6) {
        0 => input.truncate(at),
        1 => input[at] = rng.u8(..),
        2 => input[at] ^= 1 << rng.u8(..8),
        3 => input.insert(at, *rng.choice(b" \r\n\0+0P\xFF").unwrap()),
        4 => {
            input.remove(at);
        }
        _ => {
            let copied = input[at..].to_vec();
            input.extend(copied);
        }
    }
}

fn line(rng: &mut Rng) -> Vec<u8> {
    let v4 = |rng: &mut Rng| std::net::Ipv4Addr::from(rng.u32(..)).to_string();
    let v6 = |rng: &mut Rng| {
        let bits = rng.u128(..) & if rng.bool() { u128::MAX } else { 0xFFFF };
        std::net::Ipv6Addr::from(bits).to_string()
    };
    let port = |rng: &mut Rng| match rng.u8(..12) {
        0 => format!("0{}", rng.u16(..)),
        1 => format!("+{}", rng.u16(..)),
        2 => rng.u32(..).to_string(),
        _ => rng.u16(..).to_string(),
    };
    let fields = match rng.u8(..8) {
        0 => "UNKNOWN".to_owned(),
        1 => format!(
            "UNKNOWN {} {} {} {}",
            v6(rng),
            v6(rng),
            port(rng),
            port(rng)
        ),
        2..=4 => format!("TCP4 {} {} {} {}", v4(rng), v4(rng), port(rng), port(rng)),
        5 | 6 => format!("TCP6 {} {} {} {}", v6(rng), v6(rng), port(rng), port(rng)),
        _ => format!("TCP4 {} {} {} {}", v6(rng), v4(rng), port(rng), port(rng)),
    };
    format!("PROXY {fields}\r\n").into_bytes()
}

fn binary(rng: &mut Rng) -> Vec<u8> {
    let tlvs: Vec<Vec<u8>> = (0..rng.u8(..4)).map(|_| value(rng)).collect();
    if rng.u8(..4) == 0 {
        return with_checksum(&tlvs);
    }
    let command = *rng
        .choice(&[0x21, 0x21, 0x21, 0x21, 0x20, 0x22, 0x11])
        .unwrap();
    let families = [0, 0x11, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x10, 0x41];
    let family = *rng.choice(&families).unwrap();
    let addresses = match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    let addresses = match rng.u8(..8) {
        0 => rng.usize(..addresses + 4),
        _ => addresses,
    };
    let mut block: Vec<u8> = (0..addresses).map(|_| rng.u8(..)).collect();
    block.extend(tlvs.concat());
    if rng.u8(..20) == 0 {
        block.extend(vec![0; 4096]);
    }
    v2(command, family, &block)
}

fn value(rng: &mut Rng) -> Vec<u8> {
    let text = |rng: &mut Rng| -> Vec<u8> { (0..rng.u8(..12)).map(|_| rng.u8(32..127)).collect() };
    match rng.u8(..8) {
        0 => tlv(2, &text(rng)),
        1 => tlv(5, &vec![7; rng.usize(..140)]),
        2 => {
            let inner = (0..rng.u8(..3)).map(|_| tlv(rng.u8(0x1F..0x27), &text(rng)));
            let inner: Vec<Vec<u8>> = inner.collect();
            tlv(
                0x20,
                &[&[rng.u8(..8), 0, 0, 0, rng.u8(..2)][..], &inner.concat()].concat(),
            )
        }
        3 => tlv(rng.u8(..), &text(rng)),
        4 => tlv(0x20, &text(rng)),
        5 => tlv(3, &text(rng)),
        6 => tlv(rng.u8(0xE0..0xF8), &text(rng)),
        _ => tlv(4, &text(rng)),
    }
}
