// Upgrades: migrations that are cut or killed half-way, and programs that are older than the schema.
#include "support/paths.hpp"
#include "support/proxy.hpp"
#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>

namespace headrace {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using support::HeadraceProcess;
using support::Loss;
using support::run_of;
using support::Scene;
using support::servers;

constexpr auto patience = seconds(30);

std::vector<fs::path> migration_files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(support::source_root() / "migrations")) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

HeadraceProcess::Env places(const std::string& database_url) {
    return {{"DATABASE_URL", database_url}, {"REDIS_URL", servers().redis().url().reveal()}};
}

// Everything that migrations make, but the list of them itself.
std::string shape_of(postgres::Connection& db) {
    const auto found = db.exec(
        "select coalesce(string_agg(line, E'\\n' order by line), '') as x from ("
        " select format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) as line"
        "  from information_schema.columns where table_schema = 'public'"
        " union all select indexdef from pg_indexes where schemaname = 'public'"
        " union all select format('%s %s', conrelid::regclass, pg_get_constraintdef(c.oid)) from pg_constraint c"
        "  join pg_namespace n on n.oid = connamespace where nspname = 'public'"
        " union all select format('%s %s', tgrelid::regclass, tgname) from pg_trigger where not tgisinternal"
        " union all select format('%s rows', count(*)) from pg_class c join pg_namespace n on n.oid = relnamespace"
        "  where nspname = 'public') s where line not like '%etl_migrations%'"
    );
    return std::string(found.text(0, "x"));
}

int applied(postgres::Connection& db) {
    if (!db.exec("select to_regclass('etl_migrations') is not null as x").boolean(0, "x")) {
        return 0;
    }
    return static_cast<int>(db.exec("select count(*) as x from etl_migrations").integer(0, "x"));
}

// The shape after the first `count` files, made by nobody but Postgres. The list itself counts as a table with an
// index.
class Shapes {
public:
    const std::string& after(int count, bool listed) {
        auto& shape = known_[{count, listed}];
        if (shape.empty()) {
            auto db = postgres::Connection::connect({.url = servers().fresh_database()});
            if (listed) {
                db.exec("create table etl_migrations (number integer primary key)");
            }
            const auto files = migration_files();
            for (int i = 0; i < count; ++i) {
                db.script(text_of(files[static_cast<std::size_t>(i)]));
            }
            shape = shape_of(db);
        }
        return shape;
    }

private:
    std::map<std::pair<int, bool>, std::string> known_;
};

// ---- F51

struct CutMoment {
    Loss loss;
    std::vector<std::string> texts;
};

std::vector<CutMoment> moments() {
    const std::string commit("commit\0", 7);
    std::vector<CutMoment> out{{Loss::request, {"create table if not exists etl_migrations"}}};
    const auto files = migration_files();
    for (const auto& file : files) {
        const auto name = file.stem().string();
        out.push_back({Loss::request, {name, commit}});
        if (file == files.front() || file == files.back()) {
            out.push_back({Loss::request, {"insert into etl_migrations", name}});
            out.push_back({Loss::reply, {name, commit}});
        }
    }
    out.push_back({Loss::reply, {"pg_advisory_unlock"}});
    return out;
}

class Migrating {
public:
    Migrating() : url_(servers().fresh_database()), db_(postgres::Connection::connect({.url = url_})) {}

    const std::string& url() const { return url_; }

    postgres::Connection& db() { return db_; }

    // Nobody else is connected any more: what was cut has been rolled back or is there.
    void await_quiet() {
        const auto until = Deadline::in(patience);
        while (db_.exec("select count(*) as x from pg_stat_activity where datname = current_database() and pid <> "
                        "pg_backend_pid()")
                   .integer(0, "x") != 0) {
            ASSERT_FALSE(until.passed());
        }
    }

    void expect_no_partial_version(Shapes& shapes) {
        const bool listed = db_.exec("select to_regclass('etl_migrations') is not null as x").boolean(0, "x");
        EXPECT_EQ(shape_of(db_), shapes.after(applied(db_), listed));
    }

    void expect_finished(Shapes& shapes) {
        const auto all = static_cast<int>(migration_files().size());
        HeadraceProcess again({"migrate"}, places(url_));
        const auto end = again.wait(patience);
        ASSERT_TRUE(end);
        EXPECT_TRUE(end->ok()) << again.log();
        EXPECT_EQ(applied(db_), all);
        EXPECT_EQ(shape_of(db_), shapes.after(all, true));
        EXPECT_EQ(db_.exec("select count(*) as x from etl_meta").integer(0, "x"), 1);
    }

private:
    std::string url_;
    postgres::Connection db_;
};

TEST(Migrations, F51_CutAtEachStep) {
    Shapes shapes;
    for (const auto& [loss, texts] : moments()) {
        SCOPED_TRACE(fmt::format("{} of {}", loss == Loss::reply ? "reply" : "request", texts.front()));
        Migrating scene;
        auto proxied = support::proxied_postgres(scene.url());
        proxied.proxy->lose(loss, texts);
        HeadraceProcess cut({"migrate"}, places(proxied.url));
        const auto end = cut.wait(patience);
        ASSERT_TRUE(end);
        EXPECT_EQ(proxied.proxy->lost(), 1);
        EXPECT_FALSE(end->ok()) << cut.log();
        scene.await_quiet();
        scene.expect_no_partial_version(shapes);
        scene.expect_finished(shapes);
    }
}

// One is killed in the middle of a migration, while another waits for it.
TEST(Migrations, F51_KilledWhileAnotherWaits) {
    Shapes shapes;
    Migrating scene;
    const auto waiting = [&](std::string_view lock_type) {
        return scene.db()
                   .exec(
                       "select count(*) as x from pg_locks l join pg_stat_activity a using (pid) where not granted and"
                       " datname = current_database() and locktype = $1",
                       {lock_type}
                   )
                   .integer(0, "x") == 1;
    };
    const auto await = [&](std::string_view lock_type) {
        const auto until = Deadline::in(patience);
        while (!waiting(lock_type) && !until.passed()) {
        }
        return waiting(lock_type);
    };
    // A table of the second migration is being made by somebody else: whoever makes it as well must wait.
    std::optional other(postgres::Connection::connect({.url = scene.url()}));
    other->exec("begin");
    other->exec("create table etl_rejects (x integer)");
    HeadraceProcess first({"migrate"}, places(scene.url()));
    ASSERT_TRUE(await("transactionid")) << first.log();
    HeadraceProcess second({"migrate"}, places(scene.url()));
    ASSERT_TRUE(await("advisory")) << second.log();
    first.kill();
    other->exec("rollback");
    const auto end = second.wait(patience);
    ASSERT_TRUE(end);
    EXPECT_TRUE(end->ok()) << second.log();
    EXPECT_NE(second.log().find(migration_files()[1].stem().string()), std::string::npos)
        << "the one that died must not have made it: " << second.log();
    other.reset();
    scene.await_quiet();
    scene.expect_finished(shapes);
}

// ---- F50: programs of one schema, databases of another

// What a release that makes one migration more leaves behind. `oldest_program` is what its first line says.
void migrate_further(support::Stack& stack, int oldest_program) {
    stack.db().script(fmt::format(
        "alter table etl_runs add column of_the_future text not null default 'kept';"
        "create table etl_future (x integer);"
        "insert into etl_migrations (number, name, checksum, oldest_program) select max(number) + 1, 'future', 'none',"
        " {} from etl_migrations",
        oldest_program
    ));
}

int schema_of_this_program() {
    return static_cast<int>(migration_files().size());
}

// It ends by itself and says why.
void expect_refused(const HeadraceProcess::Env& env, const std::vector<std::string>& command, std::string_view hint) {
    HeadraceProcess program(command, env);
    const auto end = program.wait(patience);
    ASSERT_TRUE(end) << program.log();
    EXPECT_FALSE(end->ok());
    EXPECT_NE(program.log().find("postgres.schema"), std::string::npos) << program.log();
    EXPECT_NE(program.log().find(hint), std::string::npos) << program.log();
}

TEST(Upgrade, F50_OlderProgramsGoOnWithASchemaThatSaysSo) {
    Scene scene;
    auto& stack = scene.stack;
    migrate_further(stack, schema_of_this_program());
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    support::expect_whole(stack, run_id, 2, Scene::rows);
    stack.sql("update etl_runs set of_the_future = 'precious' where run_id = $1 returning 1 as x", {run_id});
    // Beside another that was started after the migration, which takes over from it.
    auto second = stack.start_worker();
    ASSERT_TRUE(second->running()) << second->log();
    scene.worker->terminate(seconds(10));
    stack.set_version(3);
    const auto next = stack.trigger("t");
    EXPECT_EQ(stack.await_final(next), "succeeded") << second->log();
    support::expect_whole(stack, next, 3, Scene::rows);
    EXPECT_EQ(run_of(stack, "of_the_future", run_id), "precious");
    EXPECT_EQ(run_of(stack, "of_the_future", next), "kept");
    HeadraceProcess migrate({"migrate"}, stack.environment());
    ASSERT_TRUE(migrate.wait(patience));
    EXPECT_NE(migrate.log().find("nothing to do"), std::string::npos) << migrate.log();
}

TEST(Upgrade, F50_OlderProgramsAreRefusedElse) {
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    const auto workers = stack.sql("select count(*) as x from etl_workers");
    migrate_further(stack, schema_of_this_program() + 1);
    for (const auto* command : {"worker", "api", "migrate"}) {
        SCOPED_TRACE(command);
        expect_refused(stack.environment(), {command}, "Start a newer headrace.");
    }
    EXPECT_EQ(stack.sql("select count(*) as x from etl_workers"), workers) << "it was not refused at the start";
    EXPECT_EQ(support::look_at(stack.get("cache:t"), Scene::rows).version, 1);
}

TEST(Upgrade, F50_NewerProgramsWaitForTheirSchema) {
    support::Stack stack;  // of this program
    // As the release before left it: the last migration has not happened.
    Migrating scene;
    auto& old = scene.db();
    old.exec(
        "create table etl_migrations (number integer primary key, name text not null, checksum text not null,"
        " applied_at timestamptz not null default now())"
    );
    const auto files = migration_files();
    const auto known = stack.db().exec("select number, name, checksum from etl_migrations order by number");
    for (std::size_t i = 0; i + 1 < files.size(); ++i) {
        old.script(text_of(files[i]));
        old.exec(
            "insert into etl_migrations (number, name, checksum) values ($1, $2, $3)",
            {known.text(i, "number"), known.text(i, "name"), known.text(i, "checksum")}
        );
    }
    old.exec("insert into etl_pipelines (name) values ('of.before')");
    auto env = stack.environment();
    std::replace_if(
        env.begin(),
        env.end(),
        [](const auto& pair) { return pair.first == "DATABASE_URL"; },
        std::pair<std::string, std::string>("DATABASE_URL", scene.url())
    );
    for (const auto* command : {"worker", "api"}) {
        SCOPED_TRACE(command);
        expect_refused(env, {command}, "headrace migrate");
    }
    Shapes shapes;
    scene.expect_finished(shapes);
    EXPECT_EQ(old.exec("select count(*) as x from etl_pipelines where name = 'of.before'").integer(0, "x"), 1);
}

}  // namespace
}  // namespace headrace
