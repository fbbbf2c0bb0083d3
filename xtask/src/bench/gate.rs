//! Nothing is measured that doesn't say what all others say: a server that answers less is no faster.

use super::target::Target;
use anyport_bench_load::{Address, Answer, Crowd, Patience, Workload, ask};

const STATUS: u16 = 200;
const BODY: &[u8] = b"Hello, World!";
/// All but `date`, in the order of their names.
const HEADERS: [(&str, &str); 2] = [
    ("content-length", "13"),
    ("content-type", "text/plain; charset=utf-8"),
];

/// Asks once, and compares; of who doesn't answer, only the handshake can be asked for.
///
/// # Errors
///
/// When there's no answer, or another one.
pub(super) fn check(target: Target, address: &Address, patience: &Patience) -> anyhow::Result<()> {
    if !target.speaks_http() {
        return Crowd::connect(address, Workload::Plaintext, 1, patience)?.shake_hands_each();
    }
    compare(
        &ask(address, Workload::Plaintext, patience)?,
        target.own_headers(),
    )
}

/// `own` is what this one sends beside the common headers.
fn compare(answer: &Answer, own: &[(&str, &str)]) -> anyhow::Result<()> {
    anyhow::ensure!(
        answer.status == STATUS,
        "it answers status {} instead of {STATUS}",
        answer.status
    );
    anyhow::ensure!(
        answer.body == BODY,
        "it answers `{}` instead of `{}`",
        String::from_utf8_lossy(&answer.body),
        String::from_utf8_lossy(BODY)
    );
    let (dates, headers): (Vec<_>, Vec<_>) = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .partition(|&(name, _)| name == "date");
    anyhow::ensure!(
        dates.len() == 1,
        "it sends {} `date` headers instead of one",
        dates.len()
    );
    let mut expected = [&HEADERS, own].concat();
    expected.sort_unstable();
    anyhow::ensure!(
        headers == expected,
        "it sends the headers {headers:?} instead of {expected:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Answer, BODY, HEADERS, compare};

    fn expected() -> Answer {
        let date = ("date".to_owned(), "Tue, 24 Nov 2026 12:00:00 GMT".to_owned());
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Answer {
            status: 200,
            headers: HEADERS.map(owned).into_iter().chain([date]).collect(),
            body: BODY.to_vec(),
        }
    }

    #[test]
    fn the_common_answer_passes() {
        compare(&expected(), &[]).unwrap();
    }

    #[test]
    fn headers_of_its_own_are_its_alone() {
        let mut answer = expected();
        answer.headers.push(("server".to_owned(), "x".to_owned()));
        compare(&answer, &[("server", "x")]).unwrap();
        for other in [
            &[][..],
            &[("server", "y")],
            &[("connection", "close"), ("server", "x")],
        ] {
            compare(&answer, other).unwrap_err();
        }
    }

    #[test]
    fn any_other_is_told_apart() {
        type Change = fn(&mut Answer);
        let changes: [(Change, &str); 5] = [
            (|answer| answer.status = 404, "status 404 instead of 200"),
            (|answer| answer.body.push(b'!'), "`Hello, World!!`"),
            (|answer| answer.headers[0].1 = "14".to_owned(), "content-length"),
            (|answer| drop(answer.headers.pop()), "0 `date` headers"),
            (
                |answer| answer.headers.push(("server".to_owned(), "x".to_owned())),
                "server",
            ),
        ];
        for (change, what) in changes {
            let mut answer = expected();
            change(&mut answer);
            let error = compare(&answer, &[]).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
