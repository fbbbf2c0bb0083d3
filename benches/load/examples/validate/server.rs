//! The server that both ask, and what's asked of all rounds.

use anyhow::Context as _;
use anyport_bench_load::Address;
use procfs::process::Process;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The name of a value, and where it's to be found.
pub(crate) type Figure<'a, T> = (&'a str, fn(&T) -> f64);

#[derive(Debug, clap::Args)]
pub(crate) struct Rounds {
    #[arg(long, default_value = "9")]
    pub(crate) rounds: usize,
    #[arg(long, default_value = "64")]
    pub(crate) connections: usize,
    /// Of each window
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) window: Duration,
    /// The server, and its arguments
    #[arg(last = true, required = true)]
    server: Vec<String>,
}

/// A process that ends with this.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: Address,
}

impl Server {
    /// One, as [`start_all`](Self::start_all) does.
    pub(crate) fn start(rounds: &Rounds) -> anyhow::Result<Self> {
        let [server] = Self::start_all(rounds)?;
        Ok(server)
    }

    /// On the first core; this thread, and what it starts from now on, is moved to the second.
    pub(crate) fn start_all<const N: usize>(rounds: &Rounds) -> anyhow::Result<[Self; N]> {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let [server_core, load_core, ..] = cores[..] else {
            anyhow::bail!("this needs two cores: one for the server, one for the load");
        };
        let servers: Vec<Self> = (0..N)
            .map(|_| Self::start_on(server_core.id, rounds))
            .collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(core_affinity::set_for_current(load_core), "cannot pin the load");
        servers
            .try_into()
            .map_err(|_| anyhow::anyhow!("another number of servers"))
    }

    fn start_on(core: usize, rounds: &Rounds) -> anyhow::Result<Self> {
        let mut child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .args(&rounds.server)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server; it needs taskset, of Debian's package util-linux")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the server has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(anyhow::Error::msg)?;
        Ok(Self { child, address })
    }

    /// Its CPU time, from the scheduler's own count, in seconds.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        let tasks = Process::new(self.child.id().try_into()?)?.tasks()?;
        let times = tasks.map(|task| Ok(task?.schedstat()?.sum_exec_runtime as f64 / 1e9));
        times.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Rounds {
    /// Both in each round, neither always first.
    pub(crate) fn interleave<T>(
        &self,
        mut ours: impl FnMut() -> anyhow::Result<T>,
        mut theirs: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<(T, T)>> {
        let round = |round| {
            if round % 2 == 0 {
                let ours = ours()?;
                Ok((ours, theirs()?))
            } else {
                let theirs = theirs()?;
                Ok((ours()?, theirs))
            }
        };
        (0..self.rounds).map(round).collect()
    }

    /// The medians of some values of each, and of their ratios.
    pub(crate) fn print<T>(&self, names: [&str; 2], rounds: &[(T, T)], figures: &[Figure<'_, T>]) {
        println!(
            "Medians of {} rounds of {:?} with {} connections, the ratio's of the ratios:\n",
            self.rounds, self.window, self.connections
        );
        println!("{:<20} {:>9} {:>9}   ratio", "", names[0], names[1]);
        for (name, value) in figures {
            let ours = median(rounds.iter().map(|(ours, _)| value(ours)));
            let theirs = median(rounds.iter().map(|(_, theirs)| value(theirs)));
            let ratio = ratio(rounds, *value);
            println!("{name:<20} {ours:>9.2} {theirs:>9.2} {ratio:>7.3}");
        }
    }
}

/// The median of the rounds' ratios.
pub(crate) fn ratio<T>(rounds: &[(T, T)], value: fn(&T) -> f64) -> f64 {
    median(rounds.iter().map(|(ours, theirs)| value(ours) / value(theirs)))
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}
