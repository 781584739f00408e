//! A request as every endpoint takes it: who asks, what beside the body, and the body.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use bytes::Bytes;

use crate::domain::caller::{Envelope, Tenant};
use crate::engine::ledger::Ledger;
use crate::engine::{Engine, Error};
use crate::gateway::asked::{self, Asked, DryRun};
use crate::gateway::auth::Caller;
use crate::gateway::{auth, body, headers};

/// A request. What is wrong with it is told by [`admitted`](Self::admitted), so that each endpoint can
/// tell it in the shape that its clients read.
pub(super) struct Incoming {
    /// The caller's id of it, or a new one.
    pub(super) request_id: String,
    /// Its headers.
    pub(super) headers: HeaderMap,
    caller: Result<Caller, Error>,
    /// As far as a rule looks at it.
    envelope: Envelope,
    asked: Result<Asked, Error>,
    body: Result<Bytes, Error>,
}

/// A request whose caller may ask and whose body was read.
pub(super) struct Admitted {
    /// On whose behalf it comes.
    pub(super) tenant: Tenant,
    /// Whether the caller only wants to know what would be done.
    pub(super) dry_run: DryRun,
    /// The body.
    pub(super) body: Bytes,
}

impl Incoming {
    /// Opens the request's ledger and notes who asks.
    pub(super) fn open(&self, engine: &Arc<Engine>, endpoint: &'static str) -> Ledger {
        let mut ledger = Ledger::open(engine, endpoint, self.request_id.clone());
        self.introduce(&mut ledger);
        ledger
    }

    /// Notes who asks, as far as it is known, and what they say of the request.
    pub(super) fn introduce(&self, ledger: &mut Ledger) {
        if let Ok(caller) = &self.caller {
            ledger.came_from(caller.tenant.clone());
            ledger.came_with(caller.key.clone(), self.envelope.clone());
            if let Ok(asked) = &self.asked {
                ledger.said(asked.metadata.clone(), asked.conversation.clone());
            }
        }
    }

    /// The request, or why it is not looked at.
    pub(super) fn admitted(&self) -> Result<Admitted, Error> {
        Ok(Admitted {
            tenant: self.caller.clone()?.tenant,
            dry_run: self.asked.as_ref().map_err(Error::clone)?.dry_run,
            body: self.body.clone()?,
        })
    }
}

impl FromRequest<Arc<Engine>> for Incoming {
    type Rejection = Infallible;

    async fn from_request(request: Request, engine: &Arc<Engine>) -> Result<Self, Infallible> {
        let request_id = headers::request_id(request.headers());
        let plan = engine.plan();
        let caller = auth::caller(&plan, request.headers());
        let envelope = headers::envelope(&plan, &request);
        let asked = asked::read(request.headers());
        let (head, body) = request.into_parts();
        let body = if caller.is_ok() {
            body::read(&head.headers, body).await
        } else {
            // Strangers must not fill the memory.
            body::discard(body);
            Ok(Bytes::new())
        };
        Ok(Self {
            request_id,
            headers: head.headers,
            caller,
            envelope,
            asked,
            body,
        })
    }
}
