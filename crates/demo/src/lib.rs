//! The demo: a bank with a web site, its app on phones that are drawn in the browser, and a page of things to try.
//!
//! Nothing here is played: the web site is an OpenID Connect client of the platform, each phone runs the real SDK behind its page,
//! and pushes come to it through emulated APNs and FCM. What was tried is read off the platform's audit log.

mod bank;
mod error;
mod feed;
mod file;
mod handset;
mod http;
mod mode;
mod progress;
mod site;
mod thing;

use std::{path::PathBuf, sync::Arc};

use countersign_emulator::push_service::installation::Installations;
use countersign_server::app::App;
use tokio::net::TcpListener;

pub use self::{
    bank::{ADMINISTRATOR, Bank, PASSWORD, Person},
    error::DemoError,
};
use self::{handset::Handset, progress::Progress, site::Site};

/// The bundle id of the bank's app at Apple, and its package name at Google.
pub const BUNDLE_ID: &str = "example.harbourbank.app";

/// Where the emulated push services keep who can be reached.
#[derive(Clone)]
pub struct Push {
    /// APNs, whose topic is [`BUNDLE_ID`].
    pub apns: Arc<Installations>,
    /// FCM.
    pub fcm: Arc<Installations>,
    /// The bank's project at FCM.
    pub project: String,
}

/// What the demo stands on.
pub struct Ground {
    /// The platform, which listens already.
    pub app: Arc<App>,
    /// Where the bank and its phones are kept.
    pub folder: PathBuf,
    /// The push services that the platform uses.
    pub push: Push,
    /// Scheme and authority of the demo's own pages.
    pub url: String,
}

/// The bank and its phones, ready to be looked at.
pub struct Demo {
    world: Arc<World>,
}

/// What the pages share.
struct World {
    app: Arc<App>,
    bank: Arc<Bank>,
    url: String,
    phones: Vec<Arc<Handset>>,
    site: Site,
    progress: Arc<Progress>,
}

impl Demo {
    /// Sets the bank up, or goes on with the one in the folder, and switches its phones on.
    pub async fn open(ground: Ground) -> Result<Self, DemoError> {
        let Ground { app, folder, push, url } = ground;
        let bank = Arc::new(Bank::find_or_set_up(&folder, &app, &url).await?);
        let phones = handset::all(&folder.join("phones"), &app, &bank, &push).await?;
        let progress = Arc::new(Progress::open(&folder, &app, &bank)?);
        let site = Site::open(&folder, &app, Arc::clone(&bank))?;
        let world = World { app, bank, url, phones, site, progress };
        Ok(Self { world: Arc::new(world) })
    }

    /// The bank.
    #[must_use]
    pub fn bank(&self) -> &Bank {
        &self.world.bank
    }

    /// Serves the pages for as long as the program runs.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let world = self.world;
        for phone in &world.phones {
            tokio::spawn(Arc::clone(phone).run());
        }
        let (progress, phones) = (Arc::clone(&world.progress), world.phones.clone());
        tokio::spawn(async move { progress.follow(&phones).await });
        http::serve(world, listener).await
    }
}

impl World {
    fn phone(&self, key: &str) -> Option<&Arc<Handset>> {
        self.phones.iter().find(|phone| phone.key == key)
    }
}
