//! The operations on a chain of plugins: ADD, CHECK, DEL, STATUS, GC.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::attach::{Attachment, check_name};
use crate::cache::{Cache, Entry};
use crate::conf::{Network, Skipped, kind};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::plugin::{Call, Plugin, joined_path};
use crate::version::{Versions, at_least};

/// VERSION and STATUS touch nothing: a plugin that needs longer than this for them is not well.
const QUICK: Duration = Duration::from_secs(5);

/// Where things are and how long they may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of network lists (`/etc/cni/net.d`).
    pub conf_dir: PathBuf,
    /// Directories of plugins, searched in order (`/opt/cni/bin`, `/usr/lib/cni`).
    pub bin_dirs: Vec<PathBuf>,
    /// Directory of attachments; must survive a reboot, as plugins' own records do.
    pub cache_dir: PathBuf,
    /// Limit for one call of one plugin.
    pub timeout: Duration,
}

/// CNI as one daemon uses it. All methods block and may be called from several threads;
/// calls for one sandbox must not overlap.
#[derive(Debug)]
pub struct Cni {
    settings: Settings,
    cache: Cache,
    versions: Versions,
}

/// A network that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The network's name.
    pub network: String,
    /// The protocol's version that its plugins agree on.
    pub version: String,
    /// Files that come before it and can't be used.
    pub skipped: Vec<Skipped>,
}

impl Cni {
    /// Reads nothing yet.
    pub fn new(settings: Settings) -> Self {
        let cache = Cache::new(settings.cache_dir.clone());
        Self { settings, cache, versions: Versions::default() }
    }

    /// Whether sandboxes can be attached now: a usable list, its plugins present, a common version, and
    /// from CNI 1.1 on a good answer to STATUS. The list is read anew, so a change is seen at once.
    ///
    /// # Errors
    /// The reason why not.
    pub fn ready(&self) -> Result<Ready, Error> {
        let (network, skipped) = Network::load(&self.settings.conf_dir)?;
        let chain = self.chain(&network, QUICK)?;
        let version = self.versions.agree(&network, &chain)?;
        if at_least(&version, "1.1.0") {
            for (plugin, object) in chain.iter().zip(&network.plugins) {
                plugin.run(&self.call("STATUS"), &request(object, &network.name, &version))?;
            }
        }
        Ok(Ready { network: network.name, version, skipped })
    }

    /// Attaches a sandbox to the first usable network. If a plugin fails, the attachment is undone.
    ///
    /// # Errors
    /// The sandbox is not attached. After [`Error::Undo`] it is still in [`Cni::cached`].
    pub fn add(&self, attachment: &Attachment) -> Result<Outcome, Error> {
        let attachment = attachment.clone().checked()?;
        // An attachment of the same id that was left behind would be overwritten and its address lost.
        self.del(&attachment.id)?;
        let (network, _) = Network::load(&self.settings.conf_dir)?;
        let chain = self.chain(&network, self.settings.timeout)?;
        let version = self.versions.agree(&network, &self.chain(&network, QUICK)?)?;
        let mut entry = Entry { attachment, list: network.to_list(), version, result: None };
        self.cache.write(&entry)?;
        match self.add_each(&network, &chain, &mut entry).and_then(|outcome| {
            self.cache.write(&entry)?;
            Ok(outcome)
        }) {
            Ok(outcome) => Ok(outcome),
            Err(add) => match self.del(&entry.attachment.id) {
                Ok(()) => Err(add),
                Err(del) => Err(Error::Undo { add: Box::new(add), del: Box::new(del) }),
            },
        }
    }

    fn add_each(&self, network: &Network, chain: &[Plugin], entry: &mut Entry) -> Result<Outcome, Error> {
        let call = self.call_for("ADD", &entry.attachment, &entry.attachment.netns);
        let mut previous = None;
        let mut outcome = Outcome::default();
        for (plugin, object) in chain.iter().zip(&network.plugins) {
            let mut conf = request(object, &network.name, &entry.version);
            give_capabilities(&mut conf, object, &entry.attachment.capabilities);
            if let Some(previous) = previous.take() {
                conf["prevResult"] = previous;
            }
            let answer = plugin.run(&call, &conf)?;
            let bad = |what| Error::Output { plugin: plugin.kind.clone(), command: "ADD", what };
            if !answer.is_object() {
                return Err(bad("no result".into()));
            }
            outcome = Outcome::parse(answer.clone()).map_err(bad)?;
            previous = Some(answer);
        }
        entry.result = previous;
        Ok(outcome)
    }

    /// Detaches sandbox `id` with the list and the result of its attachment, and forgets it once every
    /// plugin has confirmed. Nothing is done for a sandbox that is not attached. To be retried on error.
    ///
    /// # Errors
    /// A plugin did not confirm; the attachment is still in [`Cni::cached`].
    pub fn del(&self, id: &str) -> Result<(), Error> {
        check_name("sandbox id", id)?;
        let Some(entry) = self.cache.read(id)? else { return Ok(()) };
        let (network, chain) = self.cached_chain(&entry)?;
        // After a reboot the namespace is gone, and the plugins release what else they hold.
        let netns =
            if entry.attachment.netns.exists() { entry.attachment.netns.clone() } else { PathBuf::new() };
        let call = self.call_for("DEL", &entry.attachment, &netns);
        for (plugin, object) in chain.iter().zip(&network.plugins).rev() {
            plugin.run(&call, &self.later_request(object, &network.name, &entry))?;
        }
        self.cache.remove(id)
    }

    /// Asks the plugins whether the attachment of sandbox `id` is as they made it (CNI 0.4.0 and later).
    ///
    /// # Errors
    /// It is not, or the sandbox has none.
    pub fn check(&self, id: &str) -> Result<(), Error> {
        check_name("sandbox id", id)?;
        let entry = self.cache.read(id)?.filter(|e| e.result.is_some());
        let entry = entry.ok_or_else(|| Error::NotAttached { id: id.to_owned() })?;
        let (network, chain) = self.cached_chain(&entry)?;
        if network.disable_check || !at_least(&entry.version, "0.4.0") {
            return Ok(());
        }
        let call = self.call_for("CHECK", &entry.attachment, &entry.attachment.netns);
        for (plugin, object) in chain.iter().zip(&network.plugins) {
            plugin.run(&call, &self.later_request(object, &network.name, &entry))?;
        }
        Ok(())
    }

    /// Ids of the sandboxes that are attached, or whose attach was cut short.
    ///
    /// # Errors
    /// The cache can't be read.
    pub fn cached(&self) -> Result<Vec<String>, Error> {
        self.cache.ids()
    }

    /// What the attachment of sandbox `id` gave, from the cache; `None` if it is not attached.
    ///
    /// # Errors
    /// The cache can't be read.
    pub fn outcome(&self, id: &str) -> Result<Option<Outcome>, Error> {
        check_name("sandbox id", id)?;
        let result = self.cache.read(id)?.and_then(|e| e.result);
        Ok(result.map(|r| Outcome::parse(r).unwrap_or_default()))
    }

    /// Detaches every sandbox that is cached and not in `keep`, then tells plugins of CNI 1.1 lists
    /// what is in use (GC). Meant for the daemon's start, before the first new sandbox; gives what failed.
    pub fn gc(&self, keep: &[String]) -> Vec<Error> {
        let ids = match self.cache.ids() {
            Ok(ids) => ids,
            Err(e) => return vec![e],
        };
        let gone = ids.iter().filter(|id| !keep.contains(id));
        let mut failed: Vec<_> = gone.filter_map(|id| self.del(id).err()).collect();
        failed.extend(self.gc_plugins().err());
        failed
    }

    fn gc_plugins(&self) -> Result<(), Error> {
        let network = match Network::load(&self.settings.conf_dir) {
            Ok((network, _)) if !network.disable_gc => network,
            Err(e @ Error::Io { .. }) => return Err(e),
            _ => return Ok(()),
        };
        let chain = self.chain(&network, self.settings.timeout)?;
        let version = self.versions.agree(&network, &self.chain(&network, QUICK)?)?;
        if !at_least(&version, "1.1.0") {
            return Ok(());
        }
        let mut valid = Vec::new();
        for id in self.cache.ids()? {
            let entry = self.cache.read(&id)?;
            valid.extend(entry.map(|e| json!({"containerID": id, "ifname": e.attachment.ifname})));
        }
        for (plugin, object) in chain.iter().zip(&network.plugins) {
            let mut conf = request(object, &network.name, &version);
            conf["cni.dev/valid-attachments"] = Value::Array(valid.clone());
            plugin.run(&self.call("GC"), &conf)?;
        }
        Ok(())
    }

    fn chain(&self, network: &Network, timeout: Duration) -> Result<Vec<Plugin>, Error> {
        let timeout = timeout.min(self.settings.timeout);
        network.plugins.iter().map(|p| Plugin::find(kind(p), &self.settings.bin_dirs, timeout)).collect()
    }

    /// The network of an entry, whatever the configuration says by now.
    fn cached_chain(&self, entry: &Entry) -> Result<(Network, Vec<Plugin>), Error> {
        let list = entry.list.as_object().cloned().unwrap_or_default();
        let network = Network::from_list(list, Path::new("")).map_err(|e| {
            let file = self.settings.cache_dir.join(format!("{}.json", entry.attachment.id));
            Error::io("read", &file, std::io::Error::other(e))
        })?;
        let chain = self.chain(&network, self.settings.timeout)?;
        Ok((network, chain))
    }

    /// The input of DEL and CHECK: with the result of the ADD, from the version on that knows it.
    fn later_request(&self, object: &Map<String, Value>, name: &str, entry: &Entry) -> Value {
        let mut conf = request(object, name, &entry.version);
        give_capabilities(&mut conf, object, &entry.attachment.capabilities);
        if let Some(result) = entry.result.clone().filter(|_| at_least(&entry.version, "0.4.0")) {
            conf["prevResult"] = result;
        }
        conf
    }

    fn call(&self, command: &'static str) -> Call {
        Call { path: joined_path(&self.settings.bin_dirs), ..Call::bare(command) }
    }

    fn call_for(&self, command: &'static str, attachment: &Attachment, netns: &Path) -> Call {
        Call {
            id: attachment.id.clone(),
            netns: netns.to_owned(),
            ifname: attachment.ifname.clone(),
            args: attachment.joined_args(),
            ..self.call(command)
        }
    }
}

/// A plugin's input: its object with the list's name and the agreed version, without `capabilities`.
fn request(object: &Map<String, Value>, name: &str, version: &str) -> Value {
    let mut conf = object.clone();
    conf.remove("capabilities");
    conf.insert("name".into(), name.into());
    conf.insert("cniVersion".into(), version.into());
    Value::Object(conf)
}

/// Adds those values under `runtimeConfig` whose capability the plugin declares.
fn give_capabilities(conf: &mut Value, object: &Map<String, Value>, values: &Map<String, Value>) {
    let declared =
        |name: &str| object.get("capabilities").and_then(|c| c.get(name)) == Some(&Value::Bool(true));
    let given: Map<_, _> =
        values.iter().filter(|(k, _)| declared(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
    if !given.is_empty() {
        conf["runtimeConfig"] = Value::Object(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_gets_the_capabilities_it_declares_and_no_other() {
        let object =
            json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true, "dns": false}});
        let object = object.as_object().unwrap();
        let values = json!({"portMappings": [1], "dns": 2, "bandwidth": 3});
        let mut conf = request(object, "net", "1.0.0");
        give_capabilities(&mut conf, object, values.as_object().unwrap());
        let expected = json!({
            "type": "portmap", "snat": true, "name": "net", "cniVersion": "1.0.0",
            "runtimeConfig": {"portMappings": [1]},
        });
        assert_eq!(conf, expected);
    }
}
