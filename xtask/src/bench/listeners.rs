//! Finds a leftover server on the same port: with SO_REUSEPORT the kernel would give it half of the
//! requests, without a word.

use anyhow::Context as _;
use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
use procfs::process::{FDTarget, all_processes};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Whether each socket that listens on the address belongs to a process of this group.
///
/// # Errors
///
/// When one doesn't.
pub(super) fn belong_to_group(address: SocketAddr, group: u32) -> anyhow::Result<()> {
    let entries = tcp()
        .context("cannot read /proc/net/tcp")?
        .into_iter()
        // Without IPv6 there's no such file.
        .chain(tcp6().unwrap_or_default());
    let listening = inodes(entries, address);
    let foreign = listening.difference(&sockets(group)?).count();
    anyhow::ensure!(
        foreign == 0,
        "another server listens on {address}, too, and would get a share of the requests; end it"
    );
    Ok(())
}

/// The sockets that listen on the address, or on all of its port's.
fn inodes(entries: impl Iterator<Item = TcpNetEntry>, address: SocketAddr) -> BTreeSet<u64> {
    let shares = |ip: IpAddr| ip.is_unspecified() || ip == address.ip();
    entries
        .filter(|entry| entry.state == TcpState::Listen)
        .filter(|entry| {
            entry.local_address.port() == address.port() && shares(entry.local_address.ip())
        })
        .map(|entry| entry.inode)
        .collect()
}

/// The sockets of all processes of a group.
fn sockets(group: u32) -> anyhow::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    // A process may end while it's looked at, so errors are skipped.
    for process in all_processes().context("cannot read /proc")?.flatten() {
        if process
            .stat()
            .is_ok_and(|stat| u32::try_from(stat.pgrp) == Ok(group))
        {
            let descriptors = process.fd().into_iter().flatten().flatten();
            inodes.extend(
                descriptors.filter_map(|descriptor| match descriptor.target {
                    FDTarget::Socket(inode) => Some(inode),
                    _ => None,
                }),
            );
        }
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use super::belong_to_group;
    use std::net::TcpListener;

    fn own_group() -> u32 {
        rustix::process::getpgrp()
            .as_raw_nonzero()
            .get()
            .unsigned_abs()
    }

    #[test]
    fn a_listener_of_the_group_is_fine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        belong_to_group(listener.local_addr().unwrap(), own_group()).unwrap();
    }

    #[test]
    fn a_listener_of_anybody_else_is_told() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(bound).unwrap();
            let mut address = listener.local_addr().unwrap();
            address.set_ip([127, 0, 0, 1].into());
            // No process has this number as its group.
            let error = belong_to_group(address, u32::MAX).unwrap_err().to_string();
            assert!(
                error.contains("another server listens on 127.0.0.1:"),
                "{error}"
            );
        }
    }
}
