// Encrypted credentials in Postgres. Secrets go in and come out only through resolve(); nothing lists them. Stateless
// but for the key: any thread, the caller's connection. Every change is in etl_audit.
#pragma once

#include "base/secret.hpp"
#include "credential/envelope.hpp"
#include "postgres/connection.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::credential {

struct NewCredential {
    std::string name;                             // [A-Za-z0-9_.-]{1,64}
    std::string kind;                             // bigquery, clickhouse, redis, postgres, http
    std::map<std::string, std::string> settings;  // public: url, user, database …
    std::vector<std::string> allowed_hosts;       // host[:port]; at least one
};

struct Listed {
    std::string name;
    std::string kind;
    std::map<std::string, std::string> settings;
    std::vector<std::string> allowed_hosts;
    int version = 1;
    std::optional<Timestamp> updated_at;
};

struct Resolved {
    std::string name;
    std::string kind;
    std::map<std::string, std::string> settings;
    std::vector<std::string> allowed_hosts;
    int version = 1;
    Secret secret;
};

class Store {
public:
    explicit Store(MasterKey key) : key_(std::move(key)) {}

    // First use writes the key's check value; later another key is refused: credential.key_wrong.
    void verify_key(postgres::Connection& db) const;

    std::vector<Listed> list(postgres::Connection& db) const;
    // A new credential, or with `replace` a new version; the version before it stays readable for runs that hold it.
    // Throws credential.exists, config.invalid.
    void set(
        postgres::Connection& db,
        const NewCredential& credential,
        const Secret& secret,
        std::string_view by,
        bool replace
    ) const;
    // Throws credential.not_found, credential.key_wrong, credential.tampered.
    Resolved resolve(postgres::Connection& db, std::string_view name) const;
    // Throws credential.not_found, and credential.in_use when `used_by` is not empty.
    void remove(
        postgres::Connection& db,
        std::string_view name,
        const std::vector<std::string>& used_by,
        std::string_view by
    ) const;

private:
    MasterKey key_;
};

}  // namespace headrace::credential
