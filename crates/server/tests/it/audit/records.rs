//! What a record says: who, what, to what, from where, and under which names.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use countersign_domain::audit::{Action, Actors, Kind, Mentionable, Part, Record, Source};
use countersign_server::app::{DeviceChange, Origin};

use crate::world::{PASSWORD, Step, World, get, with};

on_both_engines!(
    a_request_tells_where_it_came_from_and_its_name,
    a_sign_on_names_the_application_the_user_and_the_phone,
    a_change_by_an_administrator_names_the_administrator_and_what_was_changed,
    what_an_administrator_sets_up_makes_one_record_each,
);

impl World {
    async fn last(&self, action: Action) -> Record {
        let log = self.log().await;
        let mut told = log.into_iter().filter(|record| record.event.action == action);
        told.next_back().unwrap_or_else(|| panic!("no record of {action:?}"))
    }
}

async fn a_request_tells_where_it_came_from_and_its_name(w: &mut World) {
    let request = w.app().request().encoded();
    let request = get(&format!("{}/authorize?{request}", w.issuer()));
    let mut request = with(request, "user-agent", "Bank/5.1 (Linux)");
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    let answer = w.wire.send(request).await;
    let begun = w.last(Action::FlowCreated).await;
    assert_eq!(begun.source, Source::of(Some(peer.ip()), Some("Bank/5.1 (Linux)")));
    assert_eq!(begun.correlation, answer.header("correlation-id"));
    assert_eq!(begun.by, None);
}

async fn a_sign_on_names_the_application_the_user_and_the_phone(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let sign_on = w.sign_in_on(&phone, "ann").await;
    assert_eq!(sign_on.status(), "COMPLETED");
    let vouched = w.last(Action::DeviceAuthorized).await;
    let actors = vouched.actors();
    assert_eq!(actors.client, (&w.bank.native).mention());
    assert_eq!(actors.user, (&w.bank.ann).mention());
    let device =
        w.server.list_devices(w.bank.environment.id, w.bank.ann.id).await.unwrap().remove(0);
    assert_eq!(vouched.event.device, (&device).mention());
    let kinds: Vec<Kind> = vouched.resources().iter().map(|resource| resource.kind).collect();
    assert_eq!(kinds, [Kind::Device, Kind::User]);
    let allowed = w.last(Action::AccessAllowed).await;
    assert!(allowed.event.flow.is_some());
    assert_eq!(allowed.event.flow, vouched.event.flow);
    assert_eq!(allowed.event.flow, w.last(Action::FlowCreated).await.event.flow);
    // Also where the use case has only ids at hand.
    let checked = w.last(Action::PasswordCheckSucceeded).await;
    assert_eq!(checked.actors(), actors);
}

async fn a_change_by_an_administrator_names_the_administrator_and_what_was_changed(w: &mut World) {
    w.phone_paired_to("ann").await;
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0);
    let actors = Actors {
        client: (&w.bank.site).mention(),
        user: w.user("root").await.id.mention(),
        platform: None,
    };
    let block = w.server.change_device(environment, device.id, DeviceChange::Block);
    let origin = Origin { correlation: "c".to_owned(), ..Origin::default() };
    origin.by(actors.clone()).scope(block).await.unwrap();
    let blocked = w.last(Action::DeviceBlocked).await;
    assert_eq!((blocked.actors(), blocked.correlation.as_str()), (actors, "c"));
    let kinds: Vec<Kind> = blocked.resources().iter().map(|resource| resource.kind).collect();
    assert_eq!(kinds, [Kind::Device, Kind::User, Kind::Application]);
    w.server.change_device(environment, device.id, DeviceChange::Unblock).await.unwrap();
    let unblocked = w.last(Action::DeviceUnblocked).await;
    assert_eq!(unblocked.by, Some(Actors::part(Part::Operator)));
}

async fn what_an_administrator_sets_up_makes_one_record_each(w: &mut World) {
    let count =
        |log: &[Record], action| log.iter().filter(|record| record.event.action == action).count();
    let log = w.log().await;
    for (action, times) in [
        (Action::EnvironmentCreated, 1),
        (Action::PopulationCreated, 1),
        // One of them is the page of the own account.
        (Action::ApplicationCreated, 3),
        (Action::MfaPolicyCreated, 2),
        (Action::SignOnPolicyCreated, 3),
        (Action::SignOnPolicyAssignmentCreated, 2),
        (Action::UserCreated, 1),
    ] {
        assert_eq!(count(&log, action), times, "{action:?}");
    }
    let before = log.len();
    w.bank.change_mfa_policy(&w.server, |policy| policy.ignore_user_lock = true).await;
    w.bank.require(&w.server, &[Step::Login]).await;
    w.do_something().await;
    let password = countersign_protocol::secret::Secret::new(PASSWORD.to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &password).await.unwrap();
    let log = w.log().await;
    assert_eq!(log.len(), before + 4);
    for action in [
        Action::MfaPolicyUpdated,
        Action::SignOnPolicyUpdated,
        Action::MfaSettingsUpdated,
        Action::PasswordSet,
    ] {
        assert_eq!(count(&log, action), 1, "{action:?}");
    }
    let updated = w.last(Action::MfaPolicyUpdated).await;
    let [policy] = &*updated.resources() else { panic!("{updated:?}") };
    assert_eq!(policy.kind, Kind::DeviceAuthenticationPolicy);
    assert_eq!(policy.name.as_deref(), Some(w.bank.mfa_policy.name.as_str()));
    let set = w.last(Action::PasswordSet).await;
    assert_eq!(set.event.user, (&w.bank.ann).mention());
    // A change that was refused leaves none.
    w.bank.mfa_policy.name = String::new();
    w.server.replace_mfa_policy(w.bank.mfa_policy.clone()).await.unwrap_err();
    assert_eq!(w.log().await.len(), log.len());
}
