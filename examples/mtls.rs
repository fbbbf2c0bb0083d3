//! How do I let in only clients that show a certificate? `cargo run --example mtls` makes an
//! authority, a server's and a client's certificate, and prints how to call it with them.
//!
//! The client's certificate has been verified when the app is asked; here it greets the client by
//! the certificate's subject.
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Result, Tcp, TlsConfig, TlsExt, serve_with,
    service_fn, shutdown,
    tls::{ClientAuth, Roots},
};
use clap::Parser;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::{convert::Infallible, error::Error, fs, path::PathBuf, process::ExitCode};
use x509_cert::{Certificate, der::Decode};

#[derive(Parser)]
#[command(about = "Serves only clients that show a certificate (mTLS)")]
struct Options {
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3443")]
    listen: String,
    /// Where to put the certificates and keys that it makes.
    #[arg(long, value_name = "FOLDER", default_value = "target/mtls")]
    folder: PathBuf,
}

/// Greets whoever the certificate names.
async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let info = request.extensions().get::<ConnInfo>();
    let shown = info.and_then(|info| info.tls()?.peer_certificates().first());
    let subject = shown
        .and_then(|der| Certificate::from_der(der).ok())
        .map(|certificate| certificate.tbs_certificate().subject().to_string());
    Ok(Response::new(format!(
        "Hello, {}!\n",
        subject.as_deref().unwrap_or("stranger")
    )))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
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
            "listening on {endpoint} (try: curl --cacert {folder}/ca.pem --cert {folder}/client.pem --key {folder}/client.key \
             --connect-to ::{endpoint} https://localhost/)"
        );
    }
    println!("{}", running.wait().await?);
    Ok(())
}

/// What your certificate authority does for you.
fn make_certificates(options: &Options) -> Result<(), Box<dyn Error>> {
    let named = |name: &str| {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Ok::<_, rcgen::Error>(params)
    };
    let mut authority = named("an authority for this example")?;
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
