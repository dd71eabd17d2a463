#include "credential/store.hpp"

#include "base/encoding.hpp"
#include "base/ids.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include <fmt/format.h>
#include <sodium.h>

namespace headrace::credential {
namespace {

namespace json = boost::json;
using postgres::Connection;
using postgres::Param;

std::string settings_json(const std::map<std::string, std::string>& settings) {
    json::object out;
    for (const auto& [key, value] : settings) {
        out[key] = value;
    }
    return json::serialize(out);
}

std::map<std::string, std::string> parse_settings(std::string_view text) {
    std::map<std::string, std::string> out;
    const auto parsed = json::parse(json::string_view(text.data(), text.size()));
    for (const auto& [key, value] : parsed.as_object()) {
        out[std::string(key)] = json::value_to<std::string>(value);
    }
    return out;
}

void check_new(const NewCredential& credential) {
    const auto word =
        credential.name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    if (credential.name.empty() || credential.name.size() > 64 || word != std::string::npos) {
        throw Error(
            ErrorKind::invalid, "config.invalid", fmt::format("`{}` is no name for a credential", credential.name)
        )
            .with_hint("Use 1 to 64 letters, digits, dots, dashes and underscores.");
    }
    if (credential.allowed_hosts.empty()) {
        throw Error(ErrorKind::invalid, "config.invalid", "a credential needs at least one host that it may be sent to")
            .with_hint("Give --host db.example.com:8123.");
    }
}

Error not_found(std::string_view name) {
    return {ErrorKind::permanent, "credential.not_found", fmt::format("there is no credential `{}`", name)};
}

void audit(Connection& c, std::string_view by, std::string_view action, std::string_view name) {
    c.exec("insert into etl_audit (actor, action, object) values ($1, $2, $3)", {by, action, name});
}

}  // namespace

void Store::verify_key(Connection& db) const {
    db.transaction([&](Connection& c) {
        // Two first starts with different keys must not both win.
        c.exec("lock table etl_keys in share row exclusive mode");
        const auto kek_id = hex_encode(key_.id());
        const auto rows = c.exec("select kek_id, check_value from etl_keys");
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            const auto stored = rows.bytes(i, "check_value");
            const auto mine = key_.check_value();
            if (rows.text(i, "kek_id") == kek_id && stored.size() == mine.size() &&
                sodium_memcmp(stored.data(), mine.data(), mine.size()) == 0) {
                return;
            }
        }
        const auto sealed = c.exec("select exists (select 1 from etl_credential_versions) as x").boolean(0, "x");
        if (!rows.empty() || sealed) {
            throw Error(
                ErrorKind::permanent,
                "credential.key_wrong",
                "this master key did not encrypt the credentials of this database"
            );
        }
        c.exec(
            "insert into etl_keys (kek_id, check_value) values ($1, $2)", {kek_id, Param::bytes(key_.check_value())}
        );
    });
}

std::vector<Listed> Store::list(Connection& db) const {
    const auto rows = db.exec(
        "select name, kind, settings, allowed_hosts, current_version, updated_at from etl_credentials order by name"
    );
    std::vector<Listed> out;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        out.push_back(
            {.name = std::string(rows.text(i, "name")),
             .kind = std::string(rows.text(i, "kind")),
             .settings = parse_settings(rows.text(i, "settings")),
             .allowed_hosts = rows.array(i, "allowed_hosts"),
             .version = static_cast<int>(rows.integer(i, "current_version")),
             .updated_at = rows.time(i, "updated_at")}
        );
    }
    return out;
}

void Store::set(
    Connection& db,
    const NewCredential& credential,
    const Secret& secret,
    std::string_view by,
    bool replace
) const {
    check_new(credential);
    db.transaction([&](Connection& c) {
        const auto known =
            c.exec("select id, current_version from etl_credentials where name = $1 for update", {credential.name});
        if (!known.empty() && !replace) {
            throw Error(
                ErrorKind::invalid, "credential.exists", fmt::format("a credential `{}` exists", credential.name)
            );
        }
        const Binding binding{
            .id = known.empty() ? make_uuid_v4() : std::string(known.text(0, "id")),
            .version = known.empty() ? 1 : static_cast<int>(known.integer(0, "current_version")) + 1,
            .kind = credential.kind,
            .allowed_hosts = credential.allowed_hosts};
        c.exec(
            "insert into etl_credentials (name, id, kind, settings, allowed_hosts, current_version, updated_by)"
            " values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do update set kind = excluded.kind, settings = "
            "excluded.settings,"
            " allowed_hosts = excluded.allowed_hosts, current_version = excluded.current_version, updated_at = now(),"
            " updated_by = excluded.updated_by",
            {credential.name,
             binding.id,
             credential.kind,
             settings_json(credential.settings),
             Param::array(credential.allowed_hosts),
             binding.version,
             by}
        );
        c.exec(
            "insert into etl_credential_versions (credential_id, version, blob) values ($1, $2, $3)",
            {binding.id, binding.version, Param::bytes(key_.seal(secret, binding))}
        );
        // Two live versions while rotating; what is older can be of use to nobody.
        c.exec(
            "update etl_credential_versions set retired_at = now() where credential_id = $1 and version = $2",
            {binding.id, binding.version - 1}
        );
        c.exec(
            "delete from etl_credential_versions where credential_id = $1 and version < $2",
            {binding.id, binding.version - 1}
        );
        audit(c, by, known.empty() ? "credential.create" : "credential.replace", credential.name);
    });
}

Resolved Store::resolve(Connection& db, std::string_view name) const {
    const auto row = db.exec(
        "select c.id, c.kind, c.settings, c.allowed_hosts, c.current_version, v.blob from etl_credentials c join "
        "etl_credential_versions v"
        " on v.credential_id = c.id and v.version = c.current_version where c.name = $1",
        {name}
    );
    if (row.empty()) {
        throw not_found(name);
    }
    Resolved out{
        .name = std::string(name),
        .kind = std::string(row.text(0, "kind")),
        .settings = parse_settings(row.text(0, "settings")),
        .allowed_hosts = row.array(0, "allowed_hosts"),
        .version = static_cast<int>(row.integer(0, "current_version")),
        .secret = {}};
    const Binding binding{
        .id = std::string(row.text(0, "id")),
        .version = out.version,
        .kind = out.kind,
        .allowed_hosts = out.allowed_hosts};
    try {
        out.secret = key_.open(row.bytes(0, "blob"), binding);
    } catch (Error& e) {
        throw Error(e.within(fmt::format("credential {}", name)));
    }
    return out;
}

void Store::remove(Connection& db, std::string_view name, const std::vector<std::string>& used_by, std::string_view by)
    const {
    if (!used_by.empty()) {
        throw Error(
            ErrorKind::invalid,
            "credential.in_use",
            fmt::format("credential `{}` is used by {}", name, fmt::join(used_by, ", "))
        );
    }
    db.transaction([&](Connection& c) {
        if (c.exec("delete from etl_credentials where name = $1", {name}).affected() == 0) {
            throw not_found(name);
        }
        audit(c, by, "credential.remove", name);
    });
}

}  // namespace headrace::credential
