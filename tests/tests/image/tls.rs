//! https with an own authority, and passwords.

use husk_image::{Auth, Error};
use husk_tests::registry::{Options, Registry};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::world::{World, config, small};

/// user:secret
const HTPASSWD: &str = "user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

#[test]
fn an_own_authority_and_a_password() {
    let dir = husk_tests::temp_dir();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let (certificate_path, key_path) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate_path, certificate.pem()).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();

    let plain = Registry::start();
    let image = small("tls");
    plain.push(&image, "private/x", "v1");
    let secure = Registry::with(&Options {
        tls: Some((certificate_path, key_path)),
        htpasswd: Some(HTPASSWD.into()),
        data: Some(plain.data().into()),
    });
    let reference = format!("{}/private/x:v1", secure.host());
    let certs_dir = dir.path().join("certs.d");
    let own = certs_dir.join(secure.host());
    let auth = Auth::Basic { username: "user".into(), password: "secret".into() };

    // The directory says that there is TLS; without the certificate nobody is trusted.
    std::fs::create_dir_all(&own).unwrap();
    let mut settings = config();
    settings.certs_dir = certs_dir;
    let error = World::with(settings.clone()).pull_with(&reference, &auth).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    std::fs::write(own.join("ca.crt"), authority.pem()).unwrap();
    let world = World::with(settings);
    let error = world.pull(&reference).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let wrong = Auth::Basic { username: "user".into(), password: "wrong".into() };
    let error = world.pull_with(&reference, &wrong).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    world.assert_empty();
    assert_eq!(world.pull_with(&reference, &auth).unwrap().id.to_string(), image.id());
    // What one user pulled is not given to the next without asking.
    assert!(world.pull(&reference).is_err());
}
