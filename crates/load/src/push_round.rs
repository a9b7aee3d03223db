//! A push round: a sign-on that asks the person, the pull of the question, the signed yes, and the look at the flow.

use crate::{
    LoadError,
    asked::{Asked, Begun},
    bank::Bank,
    connection::Connection,
    drive::Scenario,
};

/// One phone, and the site that its user signs in at.
pub struct PushRound(Asked);

impl PushRound {
    /// So many phones, each of another user.
    pub fn clients(bank: &Bank, count: usize) -> Result<Vec<Self>, LoadError> {
        Ok(Asked::phones(bank, count)?.into_iter().map(Self).collect())
    }
}

impl Scenario for PushRound {
    async fn round(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        let Self(phone) = self;
        let flow = phone.begin(connection, Begun::Elsewhere).await?;
        let pulled = phone.pull(connection).await?;
        phone.approval(&pulled)?.send(connection).await?;
        flow.must_be_completed(connection).await
    }
}
