//! `/assets/{name}`: the files of the hosted pages.

use crate::world::World;

#[tokio::test]
async fn the_files_that_pages_name_are_there_for_ever() {
    let w = World::new().await;
    let mut site = w.site();
    let login = site.browser.open(&site.authorize_url(&site.request())).await;
    let request = site.request().with("response_mode", "form_post").with("prompt", "none");
    let posting = site.browser.open(&site.authorize_url(&request)).await;
    for (page, from, media_type) in [
        (&login, "<link rel=\"stylesheet\" href=\"", "text/css"),
        (&posting, "<script src=\"", "text/javascript"),
    ] {
        let path = page.answer.text().split_once(from).unwrap().1.split('"').next().unwrap();
        let answer = w.wire.get(path).await.must_be(200);
        assert_eq!(answer.media_type(), media_type);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(!answer.body.is_empty());
    }
}

#[tokio::test]
async fn nothing_else_is_there() {
    let w = World::new().await;
    for name in ["x", "page.css", "..%2fsecret", "%FF", "%00", &"x".repeat(5_000)] {
        let answer = w.wire.get(&format!("/assets/{name}")).await.must_be(404);
        assert_eq!(answer.problem().0, "NOT_FOUND", "{name}");
    }
}
