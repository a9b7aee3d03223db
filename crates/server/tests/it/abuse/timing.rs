//! Whether time tells who exists. It takes a quiet machine and a minute, so it runs when asked for:
//! `cargo test -p countersign-server --test it timing -- --ignored --nocapture`

use std::time::{Duration, Instant};

use crate::world::World;

const SAMPLES: usize = 2_000;

/// How long the answer to one wrong password takes, in a flow of its own and with no count from before.
#[expect(clippy::disallowed_methods, reason = "what is measured is time itself")]
async fn measure(w: &World, username: &str) -> Duration {
    // Longer than a count is kept.
    w.advance(86_401);
    let mut sign_on = w.app().begin().await;
    let begun = Instant::now();
    sign_on.password(username, "wrong").await.must_be(400);
    begun.elapsed()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// How far the ranks of two samples are apart, in standard deviations (Mann and Whitney; normal for samples of this size).
fn rank_distance(sample: &[Duration], other: &[Duration]) -> f64 {
    let mut other = other.to_vec();
    other.sort();
    let before = |time: &Duration| {
        let less = other.partition_point(|known| known < time);
        let not_more = other.partition_point(|known| known <= time);
        f64::from(u32::try_from(less + not_more).unwrap()) / 2.0
    };
    let u: f64 = sample.iter().map(before).sum();
    let [n, m] = [sample.len(), other.len()].map(|n| f64::from(u32::try_from(n).unwrap()));
    (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

#[tokio::test]
#[ignore = "measures time"]
async fn a_wrong_password_takes_as_long_for_nobody_as_for_somebody() {
    let w = World::new().await;
    w.user("bob").await;
    w.bank.disable_ann(&w.server).await;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..SAMPLES {
        for (times, username) in times.iter_mut().zip(["bob", "ann", "zed"]) {
            times.push(measure(&w, username).await);
        }
    }
    let [user, disabled, nobody] = times;
    for (name, other) in [("disabled", &disabled), ("nobody", &nobody)] {
        let (one, two) = (median(&user), median(other));
        let distance = rank_distance(&user, other);
        println!("user {one:?}, {name} {two:?}: {distance:.2} standard deviations");
        // A p of 0.01, two-sided, or less than a network could show.
        let alike = distance.abs() < 2.576 || one.abs_diff(two) < Duration::from_millis(1);
        assert!(alike, "{name}: {distance}");
    }
}
