//! What time it is, for phones whose clock says otherwise.

use std::sync::Arc;

use countersign_protocol::{
    entropy::SystemEntropy,
    time::{Clock, Timestamp},
};

use crate::world::{Phone, START, World};

/// A clock that is wrong by this many seconds while the world's stands still.
struct WrongBy(i64);

impl Clock for WrongBy {
    fn now(&self) -> Timestamp {
        START.plus_seconds(self.0)
    }
}

#[tokio::test]
async fn a_phone_with_a_wrong_clock_signs_in_and_is_paired() {
    for seconds in [-600, 600] {
        let w = World::new().await;
        let system = (Arc::new(WrongBy(seconds)) as _, Arc::new(SystemEntropy) as _);
        let application = w.bank.native.id.to_string();
        let phone = Phone::new(Arc::new(w.wire.clone()), system, &w.issuer(), &application).await;
        w.pair(&phone, "ann").await;
        assert_eq!(phone.sdk.info().await.unwrap().len(), 1, "{seconds}");
    }
}

#[tokio::test]
async fn who_asks_for_the_time_is_told_which_member_is_wrong() {
    let w = World::new().await;
    let (kid, jti) = (format!("kid={}", "A".repeat(43)), format!("jti={}", "A".repeat(22)));
    let good = format!("{kid}&{jti}");
    for (query, detail, target) in [
        (String::new(), "REQUIRED_VALUE", "kid"),
        (jti.clone(), "REQUIRED_VALUE", "kid"),
        (kid.clone(), "REQUIRED_VALUE", "jti"),
        (format!("{kid}&jti="), "REQUIRED_VALUE", "jti"),
        (format!("kid=x&{jti}"), "INVALID_VALUE", "kid"),
        (format!("{good}A"), "INVALID_VALUE", "jti"),
        (format!("{kid}&jti={}B", "A".repeat(21)), "INVALID_VALUE", "jti"),
        (format!("{good}&{jti}"), "", ""),
    ] {
        let answer = w.wire.get(&w.url(&format!("/device/v1/time?{query}"))).await.must_be(400);
        let (code, told, member) = answer.problem();
        assert_eq!(
            (code.as_str(), told.as_str(), member.as_str()),
            ("INVALID_REQUEST", detail, target)
        );
    }
    w.wire.get(&w.url(&format!("/device/v1/time?{good}"))).await.must_be(200);
}
