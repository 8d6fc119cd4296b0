//! The steps of a login, one function each: a challenge, the answer to it, and
//! the check of what came back. `Database::login` and the program that explains
//! a login that fails walk the same ones.

use tombolo_document::Value;
use tombolo_identity::{
    CHALLENGE_PATH, Challenge, LOGIN_PATH, LoginRefusal, LoginReply, LoginRequest, PeerKeyPair,
    PeerPublicKey, Quoted, parse_challenge,
};
use zeroize::Zeroizing;

use super::credentials::{Credentials, Origin};
use super::error::LoginError;
use super::service::{Answer, Ask, LoginService};

/// When to try again if the service does not say, in seconds.
const RETRY_AFTER_S: u64 = 60;

/// Who wants to log in, with what.
pub struct Applicant {
    /// Which database.
    pub database_id: String,
    /// The device.
    pub key: PeerKeyPair,
    /// Who is to recognize the user.
    pub provider: String,
    /// What the provider will recognize; a secret.
    pub token: Zeroizing<String>,
}

/// What a login gave, checked.
pub struct Granted {
    /// What the device can prove itself with from now on.
    pub credentials: Credentials,
    /// What the provider wants the application to know; null for nothing.
    pub client_info: Value,
    /// The list of who is cut off, as it came.
    pub revocations: Option<Vec<u8>>,
}

/// Asks for a challenge.
///
/// # Errors
/// [`LoginError`], for this step alone.
pub fn fetch_challenge(service: &mut dyn LoginService) -> Result<Challenge, LoginError> {
    let path = CHALLENGE_PATH;
    let answer = service.ask(Ask::Challenge)?;
    let body = expect_yes(path, answer)?;
    parse_challenge(&body).map_err(|source| LoginError::Answer { path, source })
}

/// Answers a challenge with the device's signature and the user's token.
///
/// # Errors
/// [`LoginError`], for this step alone.
pub fn send_login(
    service: &mut dyn LoginService,
    challenge: Challenge,
    applicant: &Applicant,
) -> Result<LoginReply, LoginError> {
    let path = LOGIN_PATH;
    let request = LoginRequest {
        database_id: applicant.database_id.clone(),
        provider: applicant.provider.clone(),
        token: applicant.token.clone(),
        challenge: challenge.sign(&applicant.key)?,
    };
    let answer = service.ask(Ask::Login(&request.render()))?;
    let body = expect_yes(path, answer)?;
    LoginReply::parse(&body).map_err(|source| LoginError::Answer { path, source })
}

/// Checks what came back, as every peer will, at `now_ms` (unix milliseconds).
///
/// # Errors
/// [`LoginError`], for this step alone; a clock that is wrong has errors of its
/// own.
pub fn check_reply(
    reply: LoginReply,
    applicant: &Applicant,
    origin: Origin,
    now_ms: u64,
) -> Result<Granted, LoginError> {
    let device: &PeerPublicKey = applicant.key.public();
    let (told_user, told_end_ms) = (reply.user_id, reply.expires_ms);
    let credentials = Credentials::check(
        reply.certificate,
        &reply.authorities,
        &applicant.database_id,
        origin.with_token(reply.token),
    )?;
    let agree = [
        (credentials.peer_key() == device, "peer key"),
        (credentials.user_id() == told_user, "user"),
        (credentials.expires_ms() == told_end_ms, "end"),
    ];
    if let Some((_, what)) = agree.into_iter().find(|(agree, _)| !agree) {
        return Err(LoginError::Contradiction { what });
    }
    credentials.check_fresh(now_ms)?;
    Ok(Granted {
        credentials,
        client_info: reply.client_info,
        revocations: reply.revocations,
    })
}

/// The body of an answer with status 200, or what any other status means.
fn expect_yes(path: &'static str, answer: Answer) -> Result<Vec<u8>, LoginError> {
    let status = answer.status;
    match status {
        200 => Ok(answer.body),
        300..=399 => Err(LoginError::Redirected { path, status }),
        429 => {
            let told = answer.retry_after_s;
            let retry_after_s = told.unwrap_or(RETRY_AFTER_S);
            Err(LoginError::TooMany { retry_after_s })
        }
        500..=599 => Err(LoginError::Failed { status }),
        _ => {
            let refusal = LoginRefusal::parse(&answer.body);
            let not_a_service = LoginError::NotAService { path, status };
            let refusal = refusal.map_err(|_| not_a_service)?;
            let (code, message) = (Quoted::new(&refusal.code), Quoted::new(&refusal.message));
            Err(match status {
                401 => LoginError::Refused {
                    code,
                    message,
                    client_info: refusal.client_info,
                },
                400 => LoginError::NotUnderstood { code, message },
                _ => LoginError::NotAService { path, status },
            })
        }
    }
}
