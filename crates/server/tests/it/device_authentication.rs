//! `/{environment}/deviceAuthentications`: back ends let users be authenticated by their devices.

mod callers;
mod payloads;
mod pushes;
mod requests;
mod statuses;
