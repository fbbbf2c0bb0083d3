//! The one error type. An error says what failed, where, which party has to act, and what to do.
//!
//! This is the lowest layer of the crate. It imports no other module.
use std::{borrow::Cow, error::Error as StdError, fmt, io, sync::Arc};

/// A boxed error, the same type as `tower::BoxError`: the error of a service, a body or a source.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a server did not start, or why it ended.
///
/// Its `Display` is one line with what failed, where, why, and what to do:
///
/// ```text
/// cannot bind 127.0.0.1:80: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)
/// ```
///
/// `Debug` prints the same line and each source below it, so a `main` that returns this error
/// prints a complete report. [`source`](StdError::source) leaves out an error whose text is in that
/// line already. Match on [`kind`](Self::kind), [`blame`](Self::blame) and
/// [`io_kind`](Self::io_kind): the wording may change.
///
/// It converts into [`io::Error`], for a `main` that returns [`io::Result`].
///
/// A peer's mistake never becomes an `Error`. It ends that peer's connection and nothing else.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A socket could not be bound or listened on.
    Bind,
    /// The configuration cannot work: zero workers, for example, or a timeout of zero.
    Config,
    /// A runtime or a worker's thread could not be started.
    Start,
    /// Accepting failed permanently: the listening socket is unusable.
    Accept,
    /// A worker ended unexpectedly: it panicked, or its runtime was shut down.
    Worker,
}

/// The party that has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// The program: its configuration or its code.
    Local,
    /// The machine: a port in use, a limit, a permission.
    Environment,
}

impl Error {
    /// An error of this kind; `what` is the complete message.
    pub fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            what: what.into(),
            source: None,
        }))
    }

    /// A configuration that cannot work.
    pub fn config(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, what)
    }

    /// A socket could not be bound: the message has the address, the reason and advice.
    ///
    /// `address` is what the user wrote, such as `127.0.0.1:80` or `unix:/run/app.sock`.
    pub fn bind(address: impl fmt::Display, source: io::Error) -> Self {
        let address = address.to_string();
        let (reason, hint) = match address.strip_prefix("unix:") {
            Some(name) => (unix_reason(&source), unix_hint(name, &source)),
            None => (reason(&source), hint(&address, &source)),
        };
        Self::new(
            ErrorKind::Bind,
            format!("cannot bind {address}: {reason}{hint}"),
        )
        .with_source(source)
    }

    /// A thread, a runtime or a listener could not be started. `what` completes the sentence
    /// "cannot ..".
    pub fn start(what: impl fmt::Display, source: io::Error) -> Self {
        let (reason, hint) = (reason(&source), hint("", &source));
        Self::new(ErrorKind::Start, format!("cannot {what}: {reason}{hint}")).with_source(source)
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self(Arc::new(Inner {
            kind: self.0.kind,
            what: self.0.what.clone(),
            source: Some(source.into().into()),
        }))
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The party that has to change something.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self.kind() {
            ErrorKind::Config | ErrorKind::Worker => Blame::Local,
            ErrorKind::Bind if self.io_kind() == Some(io::ErrorKind::InvalidInput) => Blame::Local,
            ErrorKind::Bind | ErrorKind::Start | ErrorKind::Accept => Blame::Environment,
        }
    }

    /// The kind of the I/O error that caused this one, such as
    /// [`AddrInUse`](io::ErrorKind::AddrInUse).
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        Some(self.0.source.as_ref()?.downcast_ref::<io::Error>()?.kind())
    }

    /// Whether the message contains the text of this source. Ignores case, and a suffix such as
    /// `(os error 98)`.
    fn says(&self, source: &dyn StdError) -> bool {
        let text = source.to_string().to_lowercase();
        let text = text.split(" (os error ").next().unwrap_or(&text);
        self.0.what.to_lowercase().contains(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, "\n  caused by: {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        if self.says(source) {
            source.source()
        } else {
            Some(source)
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.io_kind().unwrap_or(io::ErrorKind::Other), error)
    }
}

/// The reason without the `(os error 98)` of the source's own text.
fn reason(e: &io::Error) -> Cow<'static, str> {
    match e.kind() {
        io::ErrorKind::AddrInUse => "address already in use".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address".into(),
        _ if is_descriptor_limit(e) => "no file descriptor left".into(),
        _ => e.to_string().into(),
    }
}

/// Advice in parentheses; empty where no advice is certain to be right.
fn hint(address: &str, e: &io::Error) -> Cow<'static, str> {
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match (e.kind(), port) {
        (io::ErrorKind::AddrInUse, Some(port)) => format!(
            " (find the listener: `ss -ltnp 'sport = :{port}'`; or bind port 0 for a free port)"
        )
        .into(),
        (io::ErrorKind::PermissionDenied, Some(1..=1023)) => {
            " (ports below 1024 need CAP_NET_BIND_SERVICE)".into()
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            " (`ip address` lists the addresses; 0.0.0.0 and [::] are every interface)".into()
        }
        _ if is_descriptor_limit(e) => match descriptor_limit() {
            Some(limit) => {
                format!(" (this process may have {limit}; raise it with `ulimit -n`)").into()
            }
            None => " (raise the limit with `ulimit -n`)".into(),
        },
        _ => "".into(),
    }
}

/// The same as [`reason`] for Unix sockets, whose errors are about files.
fn unix_reason(e: &io::Error) -> Cow<'static, str> {
    match e.kind() {
        // The transport made this error and describes it better than the errno does.
        _ if e.get_ref().is_some() => e.to_string().into(),
        io::ErrorKind::NotFound => "its folder does not exist".into(),
        io::ErrorKind::NotADirectory => "a part of its path is not a folder".into(),
        io::ErrorKind::ReadOnlyFilesystem => "its file system is read-only".into(),
        _ => reason(e),
    }
}

fn unix_hint(name: &str, e: &io::Error) -> Cow<'static, str> {
    let folder = match name.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    match (e.kind(), e.raw_os_error()) {
        (io::ErrorKind::AddrInUse, _) if name.contains(char::is_whitespace) => {
            " (find the listener: `ss -lxp`)".into()
        }
        (io::ErrorKind::AddrInUse, _) => {
            format!(" (find the listener: `ss -lxp src unix:{name}`)").into()
        }
        (io::ErrorKind::PermissionDenied, Some(_)) => {
            format!(" (this user may not make files in {folder})").into()
        }
        (io::ErrorKind::NotFound, Some(_)) => format!(" (`mkdir -p {folder}` makes it)").into(),
        (io::ErrorKind::AddrNotAvailable, _) => "".into(),
        _ => hint(name, e),
    }
}

/// The limit of this process (EMFILE) or of the machine (ENFILE); see errno(3).
#[cfg(unix)]
pub(crate) fn is_descriptor_limit(e: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(e), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
pub(crate) fn is_descriptor_limit(_: &io::Error) -> bool {
    false
}

/// The number of descriptors that this process may have open, if it is limited (getrlimit(2),
/// RLIMIT_NOFILE).
pub(crate) fn descriptor_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(address: &str, kind: io::ErrorKind) -> String {
        Error::bind(address, kind.into()).to_string()
    }

    #[test]
    fn bind_error_has_reason_address_and_advice() {
        assert_eq!(
            bind("127.0.0.1:80", io::ErrorKind::PermissionDenied),
            "cannot bind 127.0.0.1:80: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)"
        );
        assert_eq!(
            bind("[::1]:3000", io::ErrorKind::AddrInUse),
            "cannot bind [::1]:3000: address already in use (find the listener: `ss -ltnp 'sport = :3000'`; \
             or bind port 0 for a free port)"
        );
    }

    #[cfg(unix)]
    #[test]
    fn bind_error_of_a_unix_socket_names_its_file() {
        use rustix::io::Errno;
        let bind = |address: &str, errno: Errno| Error::bind(address, errno.into()).to_string();
        assert_eq!(
            bind("unix:/run/app.sock", Errno::ACCESS),
            "cannot bind unix:/run/app.sock: permission denied (this user may not make files in /run)"
        );
        assert_eq!(
            bind("unix:/srv/app/it.sock", Errno::NOENT),
            "cannot bind unix:/srv/app/it.sock: its folder does not exist (`mkdir -p /srv/app` makes it)"
        );
        let in_use = Error::bind("unix:@app", io::ErrorKind::AddrInUse.into());
        assert_eq!(
            in_use.to_string(),
            "cannot bind unix:@app: address already in use (find the listener: `ss -lxp src unix:@app`)"
        );
    }

    #[test]
    fn debug_prints_the_message_and_its_sources() {
        let error = Error::config("zero workers").with_source("because");
        assert_eq!(format!("{error:?}"), "zero workers\n  caused by: because");
        assert_eq!(
            (error.kind(), error.blame()),
            (ErrorKind::Config, Blame::Local)
        );
    }

    #[cfg(unix)]
    #[test]
    fn debug_says_nothing_twice() {
        use rustix::io::Errno;
        let in_use = Error::bind("[::1]:3000", Errno::ADDRINUSE.into());
        assert_eq!(format!("{in_use:?}"), in_use.to_string());
        assert!(in_use.source().is_none());
        assert_eq!(in_use.io_kind(), Some(io::ErrorKind::AddrInUse));
        let invalid = io::Error::new(io::ErrorKind::InvalidInput, "the port is missing");
        let invalid = Error::bind("localhost", invalid);
        assert_eq!(
            format!("{invalid:?}"),
            "cannot bind localhost: the port is missing"
        );
        // A source with another text is printed, because users search for the kernel's text.
        let elsewhere = format!(
            "{:?}",
            Error::bind("192.0.2.1:80", Errno::ADDRNOTAVAIL.into())
        );
        let source = "\n  caused by: Cannot assign requested address (os error 99)";
        assert!(
            !cfg!(target_os = "linux") || elsewhere.ends_with(source),
            "{elsewhere}"
        );
    }

    #[test]
    fn an_io_error_keeps_kind_and_message() {
        let error = Error::bind("[::1]:3000", io::ErrorKind::AddrInUse.into());
        let message = error.to_string();
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), message);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Error>()));
        let error = io::Error::from(Error::config("zero workers"));
        assert_eq!(error.kind(), io::ErrorKind::Other);
    }
}
