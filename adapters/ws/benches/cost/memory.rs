//! The memory of an idle WebSocket, and of a TLS session alone.
use crate::client::{NAME, Served, client_config, message, read_echo, session};
use anyhow::{Context as _, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use std::{
    env, fs,
    io::{Read, Write},
    process::{self, Command},
    sync::Arc,
};

/// The numbers of WebSockets, or of sessions, at which memory is measured.
const STEPS: [usize; 2] = [1_000, 8_000];

/// The resident memory of a process, in bytes.
fn resident(process: u32) -> Result<i64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse::<i64>()? * 1024)
}

/// The memory of the server's half of a TLS session that has echoed 16 bytes, without a connection.
/// It is boxed, since a server has each session in an allocation of its own. The value is the slope
/// between [`STEPS`].
pub(crate) fn sessions() -> Result<i64> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes())?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let (server, client) = (Arc::new(server), client_config(cert.der())?);
    let (mut kept, mut measured) = (Vec::with_capacity(STEPS[1]), Vec::new());
    for step in STEPS {
        while kept.len() < step {
            let mut theirs = session(&client)?;
            let mut ours = ServerConnection::new(Arc::clone(&server))?;
            theirs.writer().write_all(&[b'x'; 16])?;
            while theirs.wants_write() || ours.wants_write() {
                let mut wire = Vec::new();
                while theirs.wants_write() {
                    theirs.write_tls(&mut wire)?;
                }
                pass(&wire, |wire| ours.read_tls(wire))?;
                ours.process_new_packets()?;
                let mut echo = [0; 16];
                if ours.reader().read(&mut echo).is_ok_and(|n| n > 0) {
                    ours.writer().write_all(&echo)?;
                }
                let mut wire = Vec::new();
                while ours.wants_write() {
                    ours.write_tls(&mut wire)?;
                }
                pass(&wire, |wire| theirs.read_tls(wire))?;
                theirs.process_new_packets()?;
            }
            kept.push(Box::new(ours));
        }
        measured.push(resident(process::id())?);
    }
    Ok(slope(&measured))
}

fn pass(
    mut wire: &[u8],
    mut read: impl FnMut(&mut dyn Read) -> std::io::Result<usize>,
) -> Result<()> {
    while !wire.is_empty() {
        read(&mut wire)?;
    }
    Ok(())
}

fn slope(measured: &[i64]) -> i64 {
    (measured[1] - measured[0]) / (STEPS[1] - STEPS[0]) as i64
}

pub(crate) fn memory(transport: &str, library: &str) -> Result<i64> {
    // With huge pages, memory would grow in steps of 2 MiB, which is too coarse.
    let small_pages = ["env", "MIMALLOC_ALLOW_THP=0"];
    let served = Served::start(&small_pages, transport, library)?;
    let mut sockets = Vec::new();
    let mut measured = Vec::new();
    for step in STEPS {
        while sockets.len() < step {
            let mut socket = served.open()?;
            // Each WebSocket echoes a message before it is idle.
            socket.write_all(&message())?;
            read_echo(&mut *socket)?;
            sockets.push(socket);
        }
        measured.push(resident(served.process())?);
    }
    served.end()?;
    Ok(slope(&measured))
}

/// The output of [`sessions`] in a process of its own.
pub(crate) fn sessions_in_own_process() -> Result<String> {
    let output = Command::new(env::current_exe()?)
        .arg("sessions")
        .env("MIMALLOC_ALLOW_THP", "0")
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}
