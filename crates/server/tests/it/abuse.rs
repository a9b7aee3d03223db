//! People who mean harm: who guesses, floods, asks who is there, and sends what no client sends.

mod enumeration;
mod guessing;
mod headers;
mod rates;
mod sizes;
mod timing;
