//! `/{environment}/flows/{flow}`: the flow API, for apps that draw their own screens.

mod device_selection;
mod lifetime;
mod new_password;
mod passcode;
mod password;
mod refusals;
mod statuses;
