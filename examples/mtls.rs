//! How do I accept only clients with a certificate? `cargo run --example mtls` generates an
//! authority and certificates for a server and a client, and prints a command that uses them.
//!
//! The server verifies the client's certificate in the handshake. The app here greets the client by
//! the subject of its certificate.
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Result, Tcp,
    runtime::shutdown,
    serve_with, service_fn,
    tls::{ClientAuth, Roots, TlsConfig, TlsExt},
};
use clap::Parser;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::{convert::Infallible, error::Error, fs, path::PathBuf, process::ExitCode};
use x509_cert::{Certificate, der::Decode};

#[derive(Parser)]
#[command(about = "Serves only clients with a certificate (mTLS)")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3443")]
    listen: String,
    /// The folder for the generated certificates and keys.
    #[arg(long, value_name = "FOLDER", default_value = "target/mtls")]
    folder: PathBuf,
}

/// Greets the subject of the certificate.
async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let info = request.extensions().get::<ConnInfo>();
    let der = info.and_then(|info| info.tls()?.peer_certificates().first());
    let subject = der
        .and_then(|der| Certificate::from_der(der).ok())
        .map(|certificate| certificate.tbs_certificate().subject().to_string());
    Ok(Response::new(format!(
        "Hello, {}!\n",
        subject.as_deref().unwrap_or("stranger")
    )))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    make_certificates(options)?;
    let file = |name| options.folder.join(name);
    let tls = TlsConfig::from_pem_files(file("server.pem"), file("server.key"))
        .with_client_auth(ClientAuth::Required(Roots::pem_file(file("ca.pem"))));
    let running = serve_with(Tcp::bind(&*options.listen).tls(tls), service_fn(hello))
        .http(HttpOptions::default().with_conn_info())
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    for endpoint in running.endpoints() {
        let folder = options.folder.display();
        println!(
            "try: curl --cacert {folder}/ca.pem --cert {folder}/client.pem --key {folder}/client.key \
             --connect-to ::{endpoint} https://localhost/"
        );
    }
    running.wait().await?;
    Ok(())
}

/// In production, your certificate authority issues these.
fn make_certificates(options: &Options) -> Result<(), Box<dyn Error>> {
    let named = |name: &str| {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Ok::<_, rcgen::Error>(params)
    };
    let mut authority = named("Authority of this example")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    fs::create_dir_all(&options.folder)?;
    fs::write(options.folder.join("ca.pem"), authority.pem())?;
    for (file, name, usage) in [
        ("server", "localhost", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", "alice", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let (mut params, key) = (named(name)?, KeyPair::generate()?);
        params.extended_key_usages = vec![usage];
        fs::write(
            options.folder.join(file).with_extension("pem"),
            params.signed_by(&key, &authority)?.pem(),
        )?;
        fs::write(
            options.folder.join(file).with_extension("key"),
            key.serialize_pem(),
        )?;
    }
    Ok(())
}
