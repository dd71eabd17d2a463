#include "postgres/migrate.hpp"

#include "base/embedded.hpp"
#include "base/encoding.hpp"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <span>

namespace headrace::postgres {

namespace migrations {
std::span<const EmbeddedFile> all();  // generated at build time
}

namespace {

constexpr std::int64_t lock_number = 0x48656164'72616365;  // "Headrace"

std::string checksum(std::string_view text) {
    unsigned char hash[16];
    crypto_generichash(hash, sizeof hash, reinterpret_cast<const unsigned char*>(text.data()), text.size(), nullptr, 0);
    return hex_encode({reinterpret_cast<const char*>(hash), sizeof hash});
}

int number_of(std::string_view name) {
    return std::atoi(std::string(name.substr(0, 4)).c_str());
}

int newest_embedded() {
    return migrations::all().empty() ? 0 : number_of(migrations::all().back().name);
}

struct Schema {
    int newest = 0;          // migration
    int oldest_program = 0;  // that can work with it
};

Schema read_schema(Connection& connection) {
    if (!connection.exec("select to_regclass('etl_migrations') is not null as there").boolean(0, "there")) {
        return {};
    }
    // By way of JSON: older programs made the table without this column.
    const auto row = connection.exec(
        "select coalesce(max(number), 0) as newest,"
        " coalesce(max(coalesce((to_jsonb(m)->>'oldest_program')::int, number)), 0) as oldest from etl_migrations m"
    );
    return {static_cast<int>(row.integer(0, "newest")), static_cast<int>(row.integer(0, "oldest"))};
}

void refuse_newer(const Schema& schema) {
    if (schema.oldest_program > newest_embedded()) {
        throw Error(
            ErrorKind::permanent,
            "postgres.schema",
            fmt::format(
                "the database is at schema {}, which needs a program of {} or newer; this one is of {}",
                schema.newest,
                schema.oldest_program,
                newest_embedded()
            )
        )
            .with_hint("Start a newer headrace.");
    }
}

bool apply(Connection& connection, const EmbeddedFile& file) {
    const auto number = number_of(file.name);
    const auto applied = connection.exec("select checksum from etl_migrations where number = $1", {number});
    if (!applied.empty()) {
        if (applied.text(0, "checksum") != checksum(file.content)) {
            throw Error(
                ErrorKind::permanent,
                "postgres.schema",
                fmt::format("migration {} was changed after it was applied", file.name)
            )
                .with_hint("This is another version's database. In development: headrace dev --reset.");
        }
        return false;
    }
    connection.transaction([&](Connection& c) {
        c.script(file.content);
        c.exec(
            "insert into etl_migrations (number, name, checksum, oldest_program) values ($1, $2, $3, $4)",
            {number, file.name, checksum(file.content), oldest_program(file.name, file.content)}
        );
    });
    return true;
}

}  // namespace

int oldest_program(std::string_view name, std::string_view content) {
    constexpr std::string_view mark = "-- oldest program: ";
    const auto number = number_of(name);
    if (!content.starts_with(mark)) {
        return number;
    }
    const auto named = std::atoi(std::string(content.substr(mark.size(), 4)).c_str());
    return named > 0 ? std::min(named, number) : number;
}

std::vector<Migration> migrate(Connection& connection) {
    std::vector<Migration> done;
    connection.exec("select pg_advisory_lock($1)", {lock_number});
    connection.exec(
        "create table if not exists etl_migrations (number integer primary key, name text not null, checksum text not "
        "null,"
        " applied_at timestamptz not null default now())"
    );
    refuse_newer(read_schema(connection));
    connection.exec("alter table etl_migrations add column if not exists oldest_program integer");
    for (const auto& file : migrations::all()) {
        if (apply(connection, file)) {
            done.push_back({number_of(file.name), std::string(file.name)});
        }
    }
    connection.exec("select pg_advisory_unlock($1)", {lock_number});
    return done;
}

void require_schema(Connection& connection) {
    const auto schema = read_schema(connection);
    refuse_newer(schema);
    if (schema.newest < newest_embedded()) {
        throw Error(
            ErrorKind::permanent,
            "postgres.schema",
            fmt::format("the database is at schema {}, this program needs {}", schema.newest, newest_embedded())
        );
    }
}

}  // namespace headrace::postgres
