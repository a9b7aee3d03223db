//! The built command as people run it: the tour, its refusals, and a demo that is killed under load.

#![cfg(test)]

mod durability;
mod tour;
