//! Phones that are reached: silent pushes, questions to the person, and phones that are gone.

mod attacks;
mod bars;
mod bombing;
mod chromium;
mod nodes;
mod pages;
mod silent;
mod socket;
mod unpairing;
mod visible;
