//! How a client shows that it knows a password, and the server that it knows it too: SCRAM-SHA-256 (RFC 5802, RFC 7677).
//! Texts in, texts out; nothing is sent here.

use crate::adapters::base64;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// RFC 7677 asks for at least so many.
const LEAST_ROUNDS: u32 = 4_096;
/// A server that asks for more would keep its clients busy.
const MOST_ROUNDS: u32 = 1_000_000;

type Bytes = [u8; 32];

/// A keyed hash (RFC 2104) whose key is worked in already.
#[derive(Clone)]
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8]) -> Self {
        let mut block = [0_u8; 64];
        if key.len() > block.len() {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let padded = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
        Self { inner: padded(0x36), outer: padded(0x5C) }
    }

    fn of(&self, pieces: &[&[u8]]) -> Bytes {
        let mut inner = self.inner.clone();
        pieces.iter().for_each(|piece| inner.update(piece));
        self.outer.clone().chain_update(inner.finalize()).finalize().into()
    }
}

/// What a password comes to with a server's salt: so many rounds of hashing, worth keeping.
#[derive(Clone)]
pub(super) struct Salted {
    salt: Vec<u8>,
    rounds: u32,
    client: Bytes,
    server: Bytes,
}

impl Salted {
    fn new(password: &SecretString, salt: &[u8], rounds: u32) -> Self {
        let key = Hmac::new(password.expose_secret().as_bytes());
        let mut last = key.of(&[salt, &1_u32.to_be_bytes()]);
        let mut sum = last;
        for _ in 1..rounds {
            last = key.of(&[&last]);
            sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
        }
        let salted = Hmac::new(&sum);
        let (client, server) = (salted.of(&[b"Client Key"]), salted.of(&[b"Server Key"]));
        Self { salt: salt.to_vec(), rounds, client, server }
    }
}

/// A conversation that has begun.
pub(super) struct Begun {
    nonce: String,
    bare: String,
}

/// What the server must say to have known the password too.
pub(super) struct Expected(String);

impl Begun {
    /// With a nonce of this conversation's own.
    pub fn new(user: &str, nonce: &[u8]) -> Self {
        let nonce = base64::encoded(nonce);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The second message, in answer to the server's first; none if that is no such answer. `known` is what an earlier
    /// conversation left, and what this one leaves.
    pub fn second(
        &self,
        answer: &str,
        password: &SecretString,
        known: &mut Option<Salted>,
    ) -> Option<(String, Expected)> {
        let mut parts = answer.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = base64::decoded(parts.next()?.strip_prefix("s=")?)?;
        let rounds: u32 = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let fits = nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len();
        if !fits || !(LEAST_ROUNDS..=MOST_ROUNDS).contains(&rounds) {
            return None;
        }
        let salted = match known.take().filter(|known| known.salt == salt && known.rounds == rounds) {
            Some(salted) => salted,
            None => Salted::new(password, &salt, rounds),
        };
        let without = format!("c=biws,r={nonce}");
        let said = format!("{},{answer},{without}", self.bare);
        let stored: Bytes = Sha256::digest(salted.client).into();
        let signature = Hmac::new(&stored).of(&[said.as_bytes()]);
        let proof: Vec<u8> = salted.client.iter().zip(signature).map(|(key, byte)| key ^ byte).collect();
        let expected = Hmac::new(&salted.server).of(&[said.as_bytes()]);
        *known = Some(salted);
        let expected = Expected(format!("v={}", base64::encoded(&expected)));
        Some((format!("{without},p={}", base64::encoded(&proof)), expected))
    }
}

impl Expected {
    /// Did the server say it?
    pub fn is(&self, answer: &str) -> bool {
        answer.split(',').next() == Some(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn begun() -> Begun {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        Begun { bare: format!("n=user,r={nonce}"), nonce }
    }

    #[test]
    fn it_is_as_rfc_7677_has_it() {
        let password = SecretString::from("pencil".to_owned());
        let mut known = None;
        for _ in 0..2 {
            let (second, expected) = begun().second(ANSWER, &password, &mut known).unwrap();
            let proof = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
            assert_eq!(second, format!("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,{proof}"));
            assert!(expected.is("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
            assert!(!expected.is("v=AAAA") && !expected.is("e=other-error"));
            assert!(known.is_some());
        }
        assert_eq!(begun().first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(Begun::new("a=b,c", &[0; 3]).first(), "n,,n=a=3Db=2Cc,r=AAAA");
    }

    #[test]
    fn a_server_that_plays_foul_is_not_answered() {
        let password = SecretString::from("pencil".to_owned());
        for answer in [
            "",
            "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            &ANSWER.replace("i=4096", "i=1"),
            &ANSWER.replace("i=4096", "i=99999999"),
            &ANSWER.replace("s=W2", "s=*"),
            &ANSWER.replace(",i=4096", ""),
        ] {
            assert!(begun().second(answer, &password, &mut None).is_none(), "{answer}");
        }
    }
}
