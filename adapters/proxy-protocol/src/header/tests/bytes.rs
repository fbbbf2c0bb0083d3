//! Headers of version 2, put together by hand.
use crc::{CRC_32_ISCSI, Crc};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// 192.0.2.1:4711 to 10.0.0.9:443.
pub(super) const IPV4: &[u8] = &[192, 0, 2, 1, 10, 0, 0, 9, 0x12, 0x67, 0x01, 0xBB];

/// A header with this command, family and block.
pub(super) fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// A header that names an IPv4 client, and has these values.
pub(super) fn with_tlvs(tlvs: &[Vec<u8>]) -> Vec<u8> {
    v2(0x21, 0x11, &[IPV4, &tlvs.concat()].concat())
}

pub(super) fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// A header with a checksum in front of other values.
pub(super) fn with_checksum(tlvs: &[Vec<u8>]) -> Vec<u8> {
    let empty = tlv(3, &[0; 4]);
    let mut header = with_tlvs(&[&[empty], tlvs].concat());
    let checksum = Crc::<u32>::new(&CRC_32_ISCSI).checksum(&header);
    let at = SIGNATURE.len() + 4 + IPV4.len() + 3;
    header[at..at + 4].copy_from_slice(&checksum.to_be_bytes());
    header
}
