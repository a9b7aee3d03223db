//! `/{environment}/signon`: the hosted pages, in a browser without JavaScript.

mod forms;
mod journeys;
mod pages;
