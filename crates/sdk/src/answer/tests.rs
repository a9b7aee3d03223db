//! Every kind of answer.

use super::*;
use crate::platform::Response;
use crate::tests::platform::{error, ok};

fn read_error(response: &Response) -> Error {
    match read::<u8>(response) {
        Err(Failure::Error(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_is_read_strictly() {
    assert_eq!(read::<u8>(&ok(200, &7)).unwrap(), 7);
    assert_eq!(read::<u8>(&ok(201, &7)).unwrap(), 7);
    assert!(matches!(read_error(&ok(200, &"7")), Error::Answer(_)));
    let twice = Response { body: br#"{"a":1,"a":1}"#.to_vec(), ..ok(200, &7) };
    assert!(read::<serde_json::Value>(&twice).is_err());
}

#[test]
fn the_status_decides_when_the_platform_is_in_trouble() {
    for status in [429, 503] {
        let busy = error(status, ErrorCode::DeviceNotPaired, None);
        assert!(matches!(read_error(&busy), Error::Unavailable { .. }));
    }
    for status in [500, 502, 504] {
        let failed = Response { body: b"<html>".to_vec(), ..ok(status, &7) };
        assert!(matches!(read_error(&failed), Error::Server { .. }));
    }
}

#[test]
fn the_correlation_id_is_found_in_body_or_header() {
    let in_body = error(400, ErrorCode::Conflict, None);
    assert_eq!(read_error(&in_body).correlation_id(), Some("correlation"));
    let in_header = Response {
        headers: vec![("correlation-id".to_owned(), "from header".to_owned())],
        ..ok(500, &7)
    };
    assert_eq!(read_error(&in_header).correlation_id(), Some("from header"));
}

#[test]
fn a_wait_that_is_no_number_is_no_wait() {
    for (text, seconds) in
        [("7", Some(7)), (" 7 ", Some(7)), ("Mon, 05 Jan 2026", None), ("-1", None)]
    {
        let busy = Response {
            headers: vec![("Retry-After".to_owned(), text.to_owned())],
            ..error(503, ErrorCode::Unavailable, None)
        };
        assert_eq!(read_error(&busy).retry_after_seconds(), seconds);
    }
}

#[test]
fn a_detail_says_more_than_the_code() {
    let time = Some("jws".to_owned());
    let skew = error(400, ErrorCode::InvalidRequest, Some((DetailCode::ClockSkew, time)));
    assert!(matches!(read::<u8>(&skew), Err(Failure::Skew(text)) if text == "jws"));
    let unsigned = error(400, ErrorCode::InvalidRequest, Some((DetailCode::ClockSkew, None)));
    assert!(matches!(read_error(&unsigned), Error::Rejected { .. }));
    let spent = error(400, ErrorCode::RequestFailed, Some((DetailCode::TicketSpent, None)));
    assert!(matches!(read_error(&spent), Error::PairingRefused { .. }));
    for (code, expected) in [
        (DetailCode::ChallengeInvalid, 10_023),
        (DetailCode::ChallengeExpired, 10_009),
        (DetailCode::ChallengeCancelled, 10_020),
    ] {
        let over = read_error(&error(400, ErrorCode::RequestFailed, Some((code, None))));
        assert_eq!(over.pingone_code(), expected);
        assert_eq!(over.correlation_id(), Some("correlation"));
    }
    let answered = (DetailCode::ChallengeAnswered, None);
    let answered = read_error(&error(400, ErrorCode::RequestFailed, Some(answered)));
    assert!(matches!(answered, Error::ChallengeAnswered { .. }));
    let invalid = error(400, ErrorCode::InvalidRequest, Some((DetailCode::InvalidValue, None)));
    assert!(read_error(&invalid).to_string().contains("the detail"));
    assert!(read_error(&error(404, ErrorCode::NotFound, None)).to_string().contains("the error"));
}

#[test]
fn what_is_not_from_the_platform_is_told_apart() {
    let page = Response { body: b"<html>".to_vec(), ..ok(403, &7) };
    assert!(matches!(read_error(&page), Error::Answer(_)));
}
