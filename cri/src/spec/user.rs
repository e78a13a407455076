//! The ids of a container's program, from the request and from the image's /etc/passwd and /etc/group.
//!
//! Those files are read through a handle on the root filesystem, so that a link in the image can't lead out of it
//! (CVE-2022-23648 had such a way), and only to a bounded size.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use husk_cri_api::{LinuxContainerSecurityContext, SupplementalGroupsPolicy};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::store::User;

/// Bytes of passwd or group that are read at most.
const LIMIT: u64 = 4 << 20;
const FIELD: &str = "config.linux.security_context";

/// Ids for a request, where `image_user` is what the image says.
pub fn resolve(rootfs: &Path, context: &LinuxContainerSecurityContext, image_user: &str) -> Result<User> {
    let root = rustix::fs::open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .on("open", rootfs.display().to_string())?;
    let files = Files { passwd: read(&root, "etc/passwd")?, group: read(&root, "etc/group")? };
    files.resolve(context, image_user)
}

struct Files {
    passwd: String,
    group: String,
}

struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Files {
    fn resolve(&self, context: &LinuxContainerSecurityContext, image_user: &str) -> Result<User> {
        let (image_name, image_group) = image_user.split_once(':').unwrap_or((image_user, ""));
        let (uid, gid, name) = match (&context.run_as_user, context.run_as_username.as_str()) {
            (Some(_), name) if !name.is_empty() => {
                let why = "and run_as_username exclude each other";
                return Err(Error::invalid(format!("{FIELD}.run_as_user"), why));
            }
            (Some(user), _) => self.by_uid(id(&format!("{FIELD}.run_as_user"), user.value)?),
            (None, "") => self.named("config.image: its user", image_name)?,
            (None, name) => self.named(&format!("{FIELD}.run_as_username"), name)?,
        };
        let asked = context.run_as_user.is_some() || !context.run_as_username.is_empty();
        let gid = match &context.run_as_group {
            Some(group) if asked => id(&format!("{FIELD}.run_as_group"), group.value)?,
            Some(_) => {
                let why = "needs run_as_user or run_as_username";
                return Err(Error::invalid(format!("{FIELD}.run_as_group"), why));
            }
            None if asked || image_group.is_empty() => gid,
            None => self.group(image_group)?,
        };
        let mut groups = vec![gid];
        if context.supplemental_groups_policy() == SupplementalGroupsPolicy::Merge
            && let Some(name) = &name
        {
            groups.extend(self.groups_of(name));
        }
        for group in &context.supplemental_groups {
            groups.push(id(&format!("{FIELD}.supplemental_groups"), *group)?);
        }
        let mut seen = std::collections::BTreeSet::new();
        groups.retain(|group| seen.insert(*group));
        Ok(User { uid, gid, groups })
    }

    /// A name, or a number, which is never looked up as a name (CVE-2024-40635, CVE-2026-46680).
    fn named(&self, field: &str, user: &str) -> Result<(u32, u32, Option<String>)> {
        if user.is_empty() {
            return Ok(self.by_uid(0));
        }
        if numeric(user) {
            let uid = user.parse().ok().filter(|uid| *uid != u32::MAX);
            let uid = uid.ok_or_else(|| Error::invalid(field, format!("{user} is no user id")))?;
            return Ok(self.by_uid(uid));
        }
        let account = self.accounts().find(|account| account.name == user);
        let account = account
            .ok_or_else(|| Error::invalid(field, format!("no user {user:?} in the image's /etc/passwd")))?;
        Ok((account.uid, account.gid, Some(account.name)))
    }

    fn by_uid(&self, uid: u32) -> (u32, u32, Option<String>) {
        match self.accounts().find(|account| account.uid == uid) {
            Some(account) => (uid, account.gid, Some(account.name)),
            None => (uid, 0, None),
        }
    }

    fn group(&self, group: &str) -> Result<u32> {
        let field = "config.image: its group";
        if numeric(group) {
            let gid = group.parse().ok().filter(|gid| *gid != u32::MAX);
            return gid.ok_or_else(|| Error::invalid(field, format!("{group} is no group id")));
        }
        let found = self.groups().find(|(name, ..)| *name == group).map(|(_, gid, _)| gid);
        found.ok_or_else(|| Error::invalid(field, format!("no group {group:?} in the image's /etc/group")))
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        let member = |members: &str| members.split(',').any(|name| name == user);
        self.groups().filter(|(_, _, members)| member(members)).map(|(_, gid, _)| gid).collect()
    }

    /// Lines that are not as passwd(5) says are passed over, as the C library does.
    fn accounts(&self) -> impl Iterator<Item = Account> {
        self.passwd.lines().filter_map(|line| {
            let mut parts = line.split(':');
            let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
            let (uid, gid) = (parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Account { name, uid, gid })
        })
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut parts = line.split(':');
            let name = parts.next()?;
            Some((name, parts.nth(1)?.parse().ok()?, parts.next().unwrap_or_default()))
        })
    }
}

fn numeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// 32 bits, and not the one value that chown(2) and setuid(2) take for "leave it".
fn id(field: &str, value: i64) -> Result<u32> {
    let id = u32::try_from(value).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| Error::invalid(field, format!("{value} is no id")))
}

/// The file's text, empty where it is missing.
fn read(root: &OwnedFd, path: &str) -> Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        opened => opened.on("open", format!("the image's /{path}"))?,
    };
    let file = std::fs::File::from(file);
    let kind = file.metadata().on("stat", format!("the image's /{path}"))?;
    if !kind.is_file() {
        return Err(Error::invalid("config.image", format!("its /{path} is no file")));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).on("read", format!("the image's /{path}"))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::invalid("config.image", format!("its /{path} is larger than {LIMIT} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use husk_cri_api::Int64Value;

    use super::*;

    fn files() -> Files {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34::/:/bin/sh\n1000:x:7:7::/:/bin/sh\nme:x:1000:1000::/:/x\n";
        let group = "root:x:0:\nextra:x:50:web,me\nmine:x:51:me\nbad:x:y:me\n";
        Files { passwd: passwd.into(), group: group.into() }
    }

    fn ask(uid: Option<i64>, name: &str, gid: Option<i64>) -> LinuxContainerSecurityContext {
        LinuxContainerSecurityContext {
            run_as_user: uid.map(|value| Int64Value { value }),
            run_as_username: name.into(),
            run_as_group: gid.map(|value| Int64Value { value }),
            ..Default::default()
        }
    }

    fn ids(uid: u32, gid: u32, groups: &[u32]) -> User {
        User { uid, gid, groups: groups.into() }
    }

    #[test]
    fn the_image_s_user_counts_where_none_is_asked_for() {
        let none = ask(None, "", None);
        for (user, expected) in [
            ("", ids(0, 0, &[0])),
            ("web", ids(33, 34, &[34, 50])),
            ("1000", ids(1000, 1000, &[1000, 50, 51])),
            ("4000", ids(4000, 0, &[0])),
            ("1000:50", ids(1000, 50, &[50, 51])),
            ("web:mine", ids(33, 51, &[51, 50])),
        ] {
            assert_eq!(files().resolve(&none, user).unwrap(), expected, "{user}");
        }
    }

    #[test]
    fn a_number_is_never_a_name() {
        let user = files().resolve(&ask(None, "1000", None), "").unwrap();
        assert_eq!(user.uid, 1000);
        for number in ["4294967295", "4294967296", "99999999999999999999"] {
            assert!(files().resolve(&ask(None, number, None), "").is_err(), "{number}");
            assert!(files().resolve(&ask(None, "", None), number).is_err(), "{number}");
        }
        assert!(files().resolve(&ask(Some(-1), "", None), "").is_err());
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_it() {
        let error = files().resolve(&ask(None, "nobody", None), "").unwrap_err().to_string();
        assert!(error.contains("run_as_username") && error.contains("nobody"), "{error}");
        assert!(files().resolve(&ask(None, "", None), "web:none").is_err());
    }

    #[test]
    fn groups_are_merged_or_strict() {
        let mut context = ask(Some(1000), "", Some(7));
        context.supplemental_groups = vec![50, 60];
        assert_eq!(files().resolve(&context, "").unwrap(), ids(1000, 7, &[7, 50, 51, 60]));
        context.supplemental_groups_policy = SupplementalGroupsPolicy::Strict as i32;
        assert_eq!(files().resolve(&context, "").unwrap(), ids(1000, 7, &[7, 50, 60]));
    }

    #[test]
    fn a_group_needs_a_user() {
        assert!(files().resolve(&ask(None, "", Some(5)), "").is_err());
        assert!(files().resolve(&ask(Some(5), "web", None), "").is_err());
    }

    #[test]
    fn links_stay_in_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/../../../../../etc/hostname", dir.path().join("etc/passwd")).unwrap();
        let none = ask(None, "", None);
        assert_eq!(resolve(dir.path(), &none, "").unwrap(), ids(0, 0, &[0]));
        std::fs::remove_file(dir.path().join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("etc/passwd")).unwrap();
        std::fs::write(dir.path().join("etc/real"), "a:x:5:6::/:/bin/sh\n").unwrap();
        assert_eq!(resolve(dir.path(), &ask(None, "a", None), "").unwrap(), ids(5, 6, &[6]));
    }
}
