//! The account of the node at the ACME server: made once, kept, told of new contacts, and made anew where it is unknown.

use instant_acme::{Account, Error, ExternalAccountKey, NewAccount};

use super::https::Questions;
use super::kept::{Kept, KeptAccount};
use super::order::on_disk;
use super::order_error::OrderError;
use crate::config::Acme;

const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// The account that is kept, or a new one.
pub(super) async fn enter(
    acme: &Acme,
    kept: &Kept,
    questions: &Questions,
) -> Result<Account, OrderError> {
    let place = kept.clone();
    match on_disk(move || place.account()).await? {
        None => make(acme, kept, questions).await,
        Some(found) => restore(found, acme, kept, questions).await,
    }
}

/// Whether the server does not know the account that the node has.
pub(super) fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT))
}

/// A new account, for one that the server does not know any more. Nothing is lost with the old one.
pub(super) async fn replace(
    acme: &Acme,
    kept: &Kept,
    questions: &Questions,
) -> Result<Account, OrderError> {
    tracing::info!("acme: the server does not know the account of this node, and another is made");
    make(acme, kept, questions).await
}

async fn make(acme: &Acme, kept: &Kept, questions: &Questions) -> Result<Account, OrderError> {
    let contact = references(&acme.contact);
    let account = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let binding = acme.external_account.as_ref();
    let binding =
        binding.map(|known| ExternalAccountKey::new(known.key_id.clone(), known.key.bytes()));
    let builder = Account::builder_with_http(Box::new(questions.clone()));
    let directory_url = acme.directory_url.clone();
    let (account, credentials) = builder
        .create(&account, directory_url, binding.as_ref())
        .await?;
    keep(kept, acme.contact.clone(), credentials).await?;
    Ok(account)
}

async fn restore(
    found: KeptAccount,
    acme: &Acme,
    kept: &Kept,
    questions: &Questions,
) -> Result<Account, OrderError> {
    let builder = Account::builder_with_http(Box::new(questions.clone()));
    let account = builder.from_credentials(found.credentials).await?;
    if found.contact == acme.contact {
        return Ok(account);
    }
    match account.update_contacts(&references(&acme.contact)).await {
        Err(error) if is_unknown(&error) => return replace(acme, kept, questions).await,
        told => told?,
    }
    let (place, contact) = (kept.clone(), acme.contact.clone());
    on_disk(move || match place.account()? {
        Some(KeptAccount { credentials, .. }) => place.keep_account(&KeptAccount {
            contact,
            credentials,
        }),
        None => Ok(()),
    })
    .await?;
    Ok(account)
}

async fn keep(
    kept: &Kept,
    contact: Vec<String>,
    credentials: instant_acme::AccountCredentials,
) -> Result<(), OrderError> {
    let (place, account) = (
        kept.clone(),
        KeptAccount {
            contact,
            credentials,
        },
    );
    on_disk(move || place.keep_account(&account)).await
}

fn references(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
