//! The same for apps that draw their own screens, and for pages that listen.

use http::Request;

use super::*;
use crate::world::{SignOn, get, with};

async fn begun(w: &World) -> SignOn {
    w.site().begin().await
}

/// Asks for a code in a flow, and tells it.
async fn code_in(flow: &mut SignOn) -> String {
    flow.act("authenticationCode.create", &json!({})).await.must_be(200);
    assert_eq!(flow.status(), "AUTHENTICATION_CODE_REQUIRED");
    flow.flow["authenticationCode"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_flow_shows_a_code_and_goes_on_when_it_is_approved() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let mut flow = begun(&w).await;
    assert!(flow.flow["_links"].get("authenticationCode.create").is_some());
    code_in(&mut flow).await;
    let shown = flow.flow["authenticationCode"].clone();
    assert_eq!(shown["status"], "UNCLAIMED");
    let question = phone.sdk.authenticate(shown["uri"].as_str().unwrap()).await.unwrap();
    assert_eq!(flow.refresh().await, "AUTHENTICATION_CODE_REQUIRED");
    assert_eq!(flow.flow["authenticationCode"]["status"], "CLAIMED");
    question.approve(None, None).await.unwrap();
    assert_eq!(flow.refresh().await, "COMPLETED");
    assert_eq!(flow.tokens().await.id_claims()["amr"], json!(["swk", "user"]));
}

#[tokio::test]
async fn who_waits_is_told_of_the_claim_and_of_the_end() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let mut flow = begun(&w).await;
    let code = code_in(&mut flow).await;
    let waits = |flow: &SignOn| with(get(&flow.url()), "prefer", "wait=20");
    let request = waits(&flow);
    let (answer, question) =
        tokio::join!(flow.client.browser.send(request), phone.sdk.authenticate(&code));
    assert_eq!(answer.must_be(200).json()["authenticationCode"]["status"], "CLAIMED");
    let question = question.unwrap();
    let request = waits(&flow);
    let (answer, approved) =
        tokio::join!(flow.client.browser.send(request), question.approve(None, None));
    approved.unwrap();
    assert_eq!(answer.must_be(200).json()["status"], "COMPLETED");
}

#[tokio::test]
async fn a_page_that_listens_hears_each_change() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    let state = page.state();
    let url = page.url.replace("/signon?", "/signon/events?");
    let listen = || -> Request<_> { get(&url) };
    let code = page.code();
    let (heard, question) =
        tokio::join!(site.browser.send(listen()), phone.sdk.authenticate(&code));
    let heard = heard.must_be(200);
    assert_eq!(heard.header("content-type"), "text/event-stream");
    let told = states(heard.text());
    let id = state.split(' ').next().unwrap();
    assert_eq!(told.last().unwrap(), &format!("{id} CLAIMED"), "{told:?}");
    let question = question.unwrap();
    let (heard, approved) = tokio::join!(site.browser.send(listen()), question.approve(None, None));
    approved.unwrap();
    assert_eq!(states(heard.must_be(200).text()).last().unwrap(), "MOVED");
    // Nothing is left to wait for.
    assert_eq!(states(site.browser.send(listen()).await.must_be(200).text()), ["MOVED"]);
}

fn states(events: &str) -> Vec<String> {
    let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(str::to_owned).collect()
}
