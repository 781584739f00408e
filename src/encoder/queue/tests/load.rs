//! What becomes of prompts as people write them at a multiple of the load that the encoder can carry, in
//! virtual time.

use super::*;
use crate::encoder::windowing::{Limits, TokenisedPassage, plan};

/// Every eighth length, in tokens, of the prompts of one turn in `evals/assistant/test.jsonl`, in order.
const LENGTHS: [usize; 39] = [
    4, 5, 7, 7, 9, 10, 10, 11, 12, 13, 14, 16, 18, 18, 21, 23, 26, 30, 33, 35, 37, 40, 43, 45, 48,
    49, 53, 56, 60, 63, 67, 72, 75, 78, 86, 95, 113, 223, 333,
];

/// What the shipped encoder takes a token on a machine without VNNI.
const TOKEN: Duration = Duration::from_micros(180);

const GROUP_TOKENS: usize = 32;

/// How many prompts come.
const PROMPTS: usize = 30_000;

/// Which prompts come, when, and who takes them.
#[derive(Clone, Copy)]
struct Load {
    lengths: &'static [usize],
    /// Of what the threads can do.
    times: f64,
    threads: usize,
    admission: Admission,
}

impl Load {
    fn of(times: f64) -> Self {
        Self {
            lengths: &LENGTHS,
            times,
            threads: 1,
            admission: Admission {
                wait_max: WAIT_MAX,
                group_tokens: GROUP_TOKENS,
                depth_max: DEPTH_MAX,
            },
        }
    }

    /// With a look at the wait alone: no text is long beside a group of any size.
    fn by_the_wait_alone(mut self) -> Self {
        self.admission.group_tokens = usize::MAX;
        self
    }

    fn run(self) -> Seen {
        let mut day = Day::of(self);
        let mut chance = Chance(7);
        let work = self.lengths.iter().map(|tokens| tokens + 2).sum::<usize>();
        let mean =
            TOKEN * u32::try_from(work).unwrap() / u32::try_from(self.lengths.len()).unwrap();
        let between =
            mean.as_secs_f64() / self.times / f64::from(u32::try_from(self.threads).unwrap());
        for _ in 0..PROMPTS {
            let pause = -between * (1.0 - chance.share()).ln();
            let now = day.now + Duration::from_secs_f64(pause);
            day.run_until(now);
            day.arrive(self.lengths[chance.below(self.lengths.len())]);
        }
        day.run_until(day.now + Duration::from_secs(1));
        assert_eq!(day.seen.decisions.len(), PROMPTS, "everyone is answered");
        day.seen
    }
}

/// Numbers that look drawn and are the same on each run (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 4_294_967_296.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// How long each decision took, and of how many the main encoder made it.
#[derive(Default)]
struct Seen {
    decisions: Vec<Duration>,
    by_main: usize,
    /// Of whom the main encoder answered though no thread was left over when it came: how much longer than a group
    /// its longest window takes, and how long it waited.
    behind: Vec<(Duration, Duration)>,
}

impl Seen {
    fn percentile(&self, hundredth: usize) -> Duration {
        let mut sorted = self.decisions.clone();
        sorted.sort_unstable();
        sorted[sorted.len() * hundredth / 100]
    }

    fn share_by_main(&self) -> f64 {
        let count = |n| f64::from(u32::try_from(n).unwrap());
        count(self.by_main) / count(self.decisions.len())
    }

    /// Asserts that whoever came behind others was begun in time, and the long ones so much sooner.
    fn assert_begun_in_time(&self) {
        // The pace is measured in floating point.
        let latest = WAIT_MAX + Duration::from_micros(1);
        for (beyond, queued) in &self.behind {
            assert!(*beyond + *queued <= latest, "{beyond:?} {queued:?}");
        }
        let is_long = |it: &&(Duration, Duration)| !it.0.is_zero();
        assert!(100 < self.behind.iter().filter(is_long).count());
    }
}

/// Whoever was let in.
struct Waiting {
    called: Duration,
    /// How much longer than a group its longest window takes; nothing of one for which a thread was left over, or
    /// that came before anything was measured.
    behind: Option<Duration>,
    answer: Answer,
}

/// A queue without threads and clock.
struct Day {
    load: Load,
    now: Duration,
    lines: Lines,
    pace: Pace,
    /// What each thread is at, since when, and when it ends.
    threads: Vec<Option<(Group, Duration)>>,
    waiting: Vec<Waiting>,
    seen: Seen,
}

impl Day {
    fn of(load: Load) -> Self {
        Self {
            load,
            now: Duration::ZERO,
            lines: Lines::default(),
            pace: Pace::of(load.threads),
            threads: std::iter::repeat_with(|| None).take(load.threads).collect(),
            waiting: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn arrive(&mut self, tokens: usize) {
        let passage = TokenisedPassage {
            tokens: vec![0; tokens],
            weight: 1.0,
        };
        let limits = Limits {
            content_tokens: 254,
            windows_max: windowing::WINDOWS_MAX,
        };
        let windowed = plan(&[passage], limits);
        let newcomer = Newcomer {
            class: Class::Interactive,
            called: self.now,
            work: Work::of_windows(window_tokens(&windowed)),
        };
        let standing = Standing {
            lines: &self.lines,
            pace: &self.pace,
            now: self.now,
        };
        let is_measured = !self.pace.time_for(Work::of_window(1)).is_zero();
        let is_behind = is_measured && !standing.has_thread_to_spare();
        let longest = window_tokens(&windowed).max().unwrap();
        let beyond = TOKEN * u32::try_from(longest.saturating_sub(GROUP_TOKENS)).unwrap();
        if let Some(begin_by) = self.load.admission.begin_by(standing, &newcomer) {
            let (entry, answer) = Entry::new(windowed, &newcomer, begin_by);
            self.lines.push(&Arc::new(entry));
            self.waiting.push(Waiting {
                called: self.now,
                behind: is_behind.then_some(beyond),
                answer,
            });
            self.begin();
        } else {
            self.seen.decisions.push(Duration::ZERO);
        }
    }

    /// Idle threads take what is there.
    fn begin(&mut self) {
        for (index, thread) in self.threads.iter_mut().enumerate() {
            if thread.is_some() {
                continue;
            }
            let group = self.lines.take(self.now, GROUP_TOKENS);
            if group.items.is_empty() {
                continue;
            }
            let running = Running {
                since: self.now,
                tokens: group.tokens,
                class: Class::Interactive,
            };
            self.pace.started(index, running);
            for item in &group.items {
                item.entry.begin(self.now);
            }
            let ends = self.now + TOKEN * u32::try_from(group.tokens).unwrap();
            *thread = Some((group, ends));
        }
        self.count();
    }

    /// Lets the groups end that do so by then.
    fn run_until(&mut self, then: Duration) {
        loop {
            let ends = |thread: &Option<(Group, Duration)>| thread.as_ref().map(|it| it.1);
            let next = (0..self.threads.len())
                .filter_map(|index| Some((ends(&self.threads[index])?, index)))
                .min();
            let Some((ended, index)) = next.filter(|(ended, _)| *ended <= then) else {
                break;
            };
            self.now = ended;
            self.pace.finished(index, ended);
            let (group, _) = self.threads[index].take().unwrap();
            let done = GroupDone {
                finished: ended,
                prompts: 1,
            };
            for item in &group.items {
                item.entry.put(item.window, &[1.0], done);
            }
            self.begin();
        }
        self.now = then;
    }

    /// Notes whom the last step answered.
    fn count(&mut self) {
        let (now, seen) = (self.now, &mut self.seen);
        self.waiting.retain_mut(|waiting| {
            let Ok(answer) = waiting.answer.try_recv() else {
                return true;
            };
            seen.decisions.push(now.saturating_sub(waiting.called));
            if let Ok(embedding) = answer {
                seen.by_main += 1;
                let behind = waiting.behind.map(|beyond| (beyond, embedding.queued));
                seen.behind.extend(behind);
            }
            false
        });
    }
}

#[test]
fn at_ten_times_the_load_a_decision_is_in_time_and_more_are_made_by_the_main_encoder() {
    for threads in [1, 3] {
        let load = Load {
            threads,
            ..Load::of(10.0)
        };
        let (seen, before) = (load.run(), load.by_the_wait_alone().run());
        seen.assert_begun_in_time();
        let late = before.percentile(99);
        assert!(Duration::from_millis(25) < late, "{late:?}");
        let p99 = seen.percentile(99);
        assert!(p99 < Duration::from_millis(22), "{p99:?}");
        let (share, share_before) = (seen.share_by_main(), before.share_by_main());
        assert!(share_before * 2.0 < share, "{share_before} {share}");
    }
}

#[test]
fn at_half_the_load_the_main_encoder_makes_as_many_decisions_as_by_the_wait_alone() {
    for (threads, least) in [(1, 0.85), (3, 0.94)] {
        let load = Load {
            threads,
            ..Load::of(0.5)
        };
        let (seen, before) = (load.run(), load.by_the_wait_alone().run());
        let (share, share_before) = (seen.share_by_main(), before.share_by_main());
        // What is missing came while one of the longest texts was at work for more than the wait allowed.
        assert!(least < share, "{share}");
        assert!(share_before - 0.01 < share, "{share_before} {share}");
    }
    let short = Load {
        lengths: &[30],
        ..Load::of(0.5)
    };
    let share = short.run().share_by_main();
    assert!(0.97 < share, "{share}");
}

#[test]
fn from_nearly_the_full_load_on_the_main_encoder_makes_more_decisions() {
    for (times, more) in [(0.9, 0.03), (2.0, 0.15)] {
        let load = Load::of(times);
        let (seen, before) = (load.run(), load.by_the_wait_alone().run());
        let (share, share_before) = (seen.share_by_main(), before.share_by_main());
        seen.assert_begun_in_time();
        assert!(share_before + more < share, "{share_before} {share}");
        assert!(seen.percentile(99) <= before.percentile(99));
    }
}
