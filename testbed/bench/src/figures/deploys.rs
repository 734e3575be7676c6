//! Good deploys: what `deploy` costs beyond the bare helm that it runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Figure, Held, Unit, beyond, median, megabytes, pairs, time};
use testbed::chart::Shop;
use testbed::client::Info;
use testbed::crowd::high_water;
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

const OWNER: &str = "bench";
const VERSION: &str = "1.0.0";
/// Between these the api's image flips: every upgrade changes it.
const TAGS: [&str; 2] = ["a", "b"];
/// The steps of two evenly spread sequences that do not follow each other: `1/p` and `1/p²` for
/// `p³ = p + 1` (Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences").
const STEPS: [f64; 2] = [0.754_877_666_2, 0.569_840_290_998];
/// How long the pods of the revision before may take to go.
const QUIET: Duration = Duration::from_secs(60);

/// The figures of good deploys with Helm 4 and 3: `rounds` pairs of an upgrade that changes an
/// image, and the most memory that `deploy` itself took in an install and an upgrade.
pub fn good_deploys(info: &Info, deploy: &Path, rounds: usize) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    pusher.chart(OWNER, &Shop::new("shop", VERSION).grace(1).chart())?;
    for tag in TAGS {
        for key in ["api", "web"] {
            pusher.image(&format!("{OWNER}/shop/{key}"), tag, &Spec::default())?;
        }
    }
    let mut figures = Vec::new();
    for (name, helm) in [("Helm 4", &info.helm4), ("Helm 3", &info.helm3)] {
        let bench = Bench::new(info, helm, deploy, name)?;
        let mut most = 0;
        for round in 0..TAGS.len() {
            most = most.max(peak(&mut bench.deploy(round))?);
            time(&mut bench.bare(round), 0)?;
        }
        let pairs = pairs(
            rounds,
            |round| {
                bench.settle(spread(round, STEPS[0]))?;
                time(&mut bench.deploy(round), 0)
            },
            |round| {
                bench.settle(spread(round, STEPS[1]))?;
                time(&mut bench.bare(round), 0)
            },
        )?;
        let what = format!("a good upgrade with {name}");
        figures.push(beyond(what, "bare helm", &pairs, 300.0));
        figures.extend(phases(&bench.site.journal(), name, rounds)?);
        let what = format!("the most memory of deploy itself, with {name}");
        figures.push(megabytes(what, most, 20.0));
    }
    Ok(figures)
}

/// Where the time of the last deploys went, by what the journal says of their phases.
fn phases(journal: &Path, name: &str, rounds: usize) -> Result<Vec<Figure>> {
    let journal = fs::read_to_string(journal).context("the journal")?;
    let mut phases: Vec<(String, Vec<f64>)> = Vec::new();
    for line in journal.lines().rev().take(rounds) {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        for phase in entry["phases"].as_array().into_iter().flatten() {
            let (Some(name), Some(ms)) = (phase["phase"].as_str(), phase["ms"].as_f64()) else {
                bail!("a phase without a name or a time: {phase}");
            };
            match phases.iter_mut().find(|(known, _)| known == name) {
                Some((_, times)) => times.push(ms),
                None => phases.push((name.to_owned(), vec![ms])),
            }
        }
    }
    let figure = |(phase, times): (String, Vec<f64>)| Figure {
        what: format!("of an upgrade with {name}: {phase}"),
        times: times.len(),
        unit: Unit::Ms,
        deploy: median(times),
        other: None,
        held: Held::Alone,
        bar: f64::INFINITY,
    };
    Ok(phases.into_iter().map(figure).collect())
}

/// Two releases of one chart, one for `deploy` and one for bare helm.
struct Bench<'a> {
    site: Site<'a>,
    /// The releases, which are their namespaces too.
    ours: String,
    theirs: String,
}

impl<'a> Bench<'a> {
    fn new(info: &'a Info, helm: &'a Path, deploy: &Path, name: &str) -> Result<Self> {
        let id = format!(
            "{}-{}",
            name.to_lowercase().replace(' ', ""),
            std::process::id()
        );
        let (ours, theirs) = (format!("ours-{id}"), format!("theirs-{id}"));
        let namespaces = vec![ours.clone(), theirs.clone()];
        let site = Site::new(info, helm, deploy, "", namespaces)?;
        Ok(Self { site, ours, theirs })
    }

    /// The signal of a round.
    fn deploy(&self, round: usize) -> Command {
        let tags = [TAGS[round % TAGS.len()], "a"];
        self.site.signal(&self.ours, OWNER, VERSION, tags)
    }

    /// The same upgrade as a script calls helm for it.
    fn bare(&self, round: usize) -> Command {
        let tags = [TAGS[round % TAGS.len()], "a"];
        self.site.bare(&self.theirs, OWNER, VERSION, tags)
    }

    /// Waits until the pods of earlier revisions are gone, whose end is no part of the next upgrade,
    /// and then for so long.
    fn settle(&self, further: Duration) -> Result<()> {
        let deadline = Instant::now() + QUIET;
        for namespace in [&self.ours, &self.theirs] {
            loop {
                let list = ["get", "pods", "--output", "name", "--namespace", namespace];
                if self.site.kubectl(&list)?.lines().count() <= 2 {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "old pods are still there in {namespace} after {QUIET:?}"
                );
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        std::thread::sleep(further);
        Ok(())
    }
}

/// Where in a second an upgrade begins: spread evenly over it, whatever the number of rounds.
///
/// The kubelet looks at its containers once a second, and its last look is what ended the wait for
/// the old pods: without this every upgrade would begin at the same time before the next one, and a
/// tenth of a second would cost a whole one, each time or never.
fn spread(round: usize, step: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred rounds")]
    let turns = round as f64 * step;
    Duration::from_secs_f64(turns.fract())
}

/// Runs a program to its good end, and gives the most memory that it itself had in use, in bytes:
/// the kernel's `VmHWM`, read until it ends. Its children are not in it.
fn peak(command: &mut Command) -> Result<u64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let status = loop {
        if let Some(kilobytes) = fs::read_to_string(&path)
            .ok()
            .as_deref()
            .and_then(high_water)
        {
            most = most.max(kilobytes * 1024);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut said).context("what deploy said")?;
        }
        bail!("deploy ended with {status}:\n{said}");
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn starts_are_spread_over_a_second() {
        for step in STEPS {
            let mut eighths = [0; 8];
            for round in 0..40 {
                let at = spread(round, step);
                eighths[usize::try_from(at.as_millis()).unwrap() / 125] += 1;
            }
            assert!(
                eighths.iter().all(|count| (3..=7).contains(count)),
                "{eighths:?}"
            );
        }
    }

    #[test]
    fn the_peak_of_a_program_is_seen() {
        let most = peak(Command::new("sleep").arg("0.05")).unwrap();
        assert!(most > 100_000, "{most}");
        assert!(peak(&mut Command::new("false")).is_err());
    }
}
