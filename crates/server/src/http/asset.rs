//! The files of the hosted pages. Their names carry a hash of their content, so they never change.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};

use super::{caller::Anyone, console, page, problem::Problem};

/// `GET /assets/{name}`
pub(crate) async fn read(_: Anyone, name: Result<Path<String>, PathRejection>) -> Response {
    let path = name.ok().map(|Path(name)| format!("/assets/{name}"));
    let asset = path.and_then(|path| page::asset(&path).or_else(|| console::asset(&path)));
    let Some(asset) = asset else {
        return Problem::not_found("there is no asset of this name").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.bytes).into_response()
}
