//! The closed loop beside wrk, against the same server, in interleaved rounds: both should find it as fast, and ours shouldn't need more CPU time.
//!
//! Takes the server's command line, to which `--listen 127.0.0.1:0` is added; it prints its address, and ends with its stdin. It gets the first core, the
//! generators the second.

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use anyhow::Context as _;
    use anyport_bench_load::{Address, Amount, ClosedLoop, Patience, Workload};
    use clap::Parser;
    use procfs::process::Process;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::Duration;

    #[derive(Parser)]
    struct Options {
        #[arg(long, default_value = "9")]
        rounds: usize,
        #[arg(long, default_value = "64")]
        connections: usize,
        /// Of each window
        #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
        window: Duration,
        /// The server, and its arguments
        #[arg(last = true, required = true)]
        server: Vec<String>,
    }

    /// What one window brought.
    #[derive(Clone, Copy)]
    struct Window {
        rate: f64,
        /// Microseconds of CPU time per request.
        server: f64,
        load: f64,
        /// Share of the window in which the server ran.
        busy: f64,
    }

    pub(super) fn main() -> anyhow::Result<()> {
        let options = Options::parse();
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let [server_core, load_core, ..] = cores[..] else {
            anyhow::bail!("this needs two cores: one for the server, one for the load");
        };
        let mut server = Command::new("taskset")
            .args(["-c", &server_core.id.to_string()])
            .args(&options.server)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server; it needs taskset, of Debian's package util-linux")?;
        anyhow::ensure!(core_affinity::set_for_current(load_core), "cannot pin the load");
        let compared = compare(&options, &mut server);
        drop(server.stdin.take());
        server.wait()?;
        let (ours, wrk) = compared?;
        print(&options, &ours, &wrk);
        Ok(())
    }

    fn compare(options: &Options, server: &mut Child) -> anyhow::Result<(Vec<Window>, Vec<Window>)> {
        let mut line = String::new();
        let stdout = server.stdout.take().context("the server has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address: Address = line.trim().parse().map_err(anyhow::Error::msg)?;
        let (mut ours, mut wrk) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // Neither always comes first.
            for turn in [round, round + 1] {
                if turn % 2 == 0 {
                    ours.push(by_us(options, &address, server.id())?);
                } else {
                    wrk.push(by_wrk(options, &address, server.id())?);
                }
            }
        }
        Ok((ours, wrk))
    }

    fn by_us(options: &Options, address: &Address, server: u32) -> anyhow::Result<Window> {
        let patience = Patience::new(Duration::from_secs(10), Arc::default());
        let mut load = ClosedLoop::connect(address, Workload::Plaintext, options.connections, &patience)?;
        let before = cpu(server)?;
        let outcome = load.run(Amount::For(options.window))?;
        let server = cpu(server)? - before;
        let seconds = outcome.effort.elapsed.as_secs_f64();
        Ok(window(
            outcome.requests as f64,
            seconds,
            server,
            outcome.effort.cpu.as_secs_f64(),
        ))
    }

    fn by_wrk(options: &Options, address: &Address, server: u32) -> anyhow::Result<Window> {
        let before = (cpu(server)?, children()?);
        let output = Command::new("wrk")
            .arg("-t1")
            .arg(format!("-c{}", options.connections))
            .arg(format!("-d{}s", options.window.as_secs()))
            .arg(format!("http://{address}/"))
            .output()
            .context("cannot run wrk; on Debian: apt install wrk")?;
        let server = cpu(server)? - before.0;
        let load = children()? - before.1;
        let text = String::from_utf8_lossy(&output.stdout);
        // "  66563 requests in 1.10s, 8.25MB read"
        let line = text.lines().find(|line| line.contains(" requests in "));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        let [requests, _, _, seconds, ..] = words[..] else {
            anyhow::bail!("wrk printed no number of requests: {text}");
        };
        let seconds: f64 = seconds.trim_end_matches("s,").parse()?;
        Ok(window(requests.parse()?, seconds, server, load))
    }

    fn window(requests: f64, seconds: f64, server: f64, load: f64) -> Window {
        Window {
            rate: requests / seconds,
            server: 1e6 * server / requests,
            load: 1e6 * load / requests,
            busy: server / seconds,
        }
    }

    /// CPU time of a process, from the scheduler's own count, in seconds.
    fn cpu(process: u32) -> anyhow::Result<f64> {
        let tasks = Process::new(process.try_into()?)?.tasks()?;
        let times = tasks.map(|task| Ok(task?.schedstat()?.sum_exec_runtime as f64 / 1e9));
        times.sum()
    }

    /// CPU time of all children that have ended, in steps of 10 ms, in seconds.
    fn children() -> anyhow::Result<f64> {
        let stat = Process::myself()?.stat()?;
        Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
    }

    fn print(options: &Options, ours: &[Window], wrk: &[Window]) {
        println!(
            "Medians of {} rounds of {:?} with {} connections, the ratio's of the ratios:\n",
            options.rounds, options.window, options.connections
        );
        println!("                          ours      wrk   ratio");
        type Value = fn(&Window) -> f64;
        let figures: [(&str, Value); 4] = [
            ("requests/s", |window| window.rate),
            ("server's us/request", |window| window.server),
            ("load's us/request", |window| window.load),
            ("server's share, %", |window| 100.0 * window.busy),
        ];
        for (name, value) in figures {
            let each = |windows: &[Window]| windows.iter().map(value).collect::<Vec<_>>();
            let (ours, wrk) = (each(ours), each(wrk));
            let ratios = ours.iter().zip(&wrk).map(|(ours, wrk)| ours / wrk).collect();
            println!(
                "{name:<20} {:>9.2} {:>8.2} {:>7.3}",
                median(ours),
                median(wrk),
                median(ratios)
            );
        }
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        }
    }
}
