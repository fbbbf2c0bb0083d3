//! The text of a failure, for a reader who has never seen this suite: what the case asks, what the
//! contract says, what was seen, and where to look.
use crate::{
    app::script::HandlerThread,
    harness::{
        case::{Case, Group},
        contract::{ANY_THREAD, Clause, EMPTY_QUEUE},
        watch::{Panicked, Watch},
    },
};
use std::fmt::Write;

/// A case that failed.
pub(crate) struct Failure<'a> {
    pub(crate) group: &'a Group,
    pub(crate) case: &'a Case,
    pub(crate) thread: HandlerThread,
    /// The failed assertion, or that the time of the case was over.
    pub(crate) seen: String,
    pub(crate) watch: &'a Watch,
    /// The panics of threads that belong to no case, while it ran.
    pub(crate) elsewhere: Vec<Panicked>,
}

impl Failure<'_> {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a String has room");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (group, notes) = (self.group, self.watch.notes());
        let name = self.case.name.replace('_', " ");
        let thread = match self.thread {
            HandlerThread::Worker => "",
            HandlerThread::Other => ", on a thread that is not the worker's",
        };
        writeln!(text, "asked of the transport: {name}{thread}")?;
        writeln!(text, "  {}", group.topic.asks)?;
        let clause = self.clause(&notes);
        writeln!(text, "contract of `{}`: \"{}\"", clause.of, clause.says)?;
        let panics = self.watch.panics();
        let assertion = panics.iter().find(|panic| self.seen == panic.message);
        match assertion {
            Some(panic) => writeln!(text, "seen: {} ({})", self.seen, panic.location)?,
            None => writeln!(text, "seen: {}", self.seen)?,
        }
        write_panics(text, "panicked", &panics)?;
        // Perhaps in another case, which runs at the same time.
        write_panics(text, "panicked meanwhile", &self.elsewhere)?;
        for note in notes {
            writeln!(text, "reported: {note}")?;
        }
        writeln!(text, "look at: {}", clause.look)?;
        write!(
            text,
            "the case: src/cases/{}, of anyport-testkit",
            self.file()
        )
    }

    fn clause(&self, notes: &[String]) -> &'static Clause {
        let would_block = notes.iter().any(|note| note.contains("`WouldBlock`"));
        match self.thread {
            _ if would_block => EMPTY_QUEUE,
            HandlerThread::Other => ANY_THREAD,
            HandlerThread::Worker => self.case.clause.unwrap_or(self.group.topic.clause),
        }
    }

    fn file(&self) -> String {
        match self.group.name {
            "conformance" => "conformance/".to_owned(),
            name => format!("{name}.rs"),
        }
    }
}

/// Writes each panic that is not a failed assertion of the suite.
fn write_panics(text: &mut String, when: &str, panics: &[Panicked]) -> std::fmt::Result {
    let mut written: Vec<&Panicked> = Vec::new();
    for panic in panics {
        if panic.is_assertion || written.contains(&panic) {
            continue;
        }
        written.push(panic);
        let Panicked {
            message,
            location,
            thread,
            ..
        } = panic;
        writeln!(
            text,
            "{when}: {message}\n  at {location}, on the thread `{thread}`"
        )?;
    }
    Ok(())
}
