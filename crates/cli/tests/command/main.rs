//! The built command as people run it: the tour, the demo, and an operator's day with a server.

#![cfg(test)]

mod demo;
mod durability;
mod emulator;
mod operations;
mod push;
mod restart;
mod server;
mod tour;
