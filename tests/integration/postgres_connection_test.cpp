// Transactions of one connection and of the pool, on a real server: what a stop in the middle leaves behind.
#include "base/stop.hpp"
#include "postgres/pool.hpp"
#include "support/servers.hpp"

#include <gtest/gtest.h>

namespace headrace {
namespace {

using postgres::Connection;
using support::servers;

struct PostgresConnection : testing::Test {
    // What others see: on a connection of its own.
    std::string committed() { return std::string(watcher.exec("select string_agg(x, ',') as x from t").text(0, "x")); }

    static void insert(Connection& db, const char* word) { db.exec("insert into t values ($1)", {word}); }

    postgres::ConnectOptions options{.url = servers().fresh_database()};
    Connection watcher = Connection::connect(options);
    StopSource stop;

    void SetUp() override { watcher.exec("create table t (x text)"); }
};

TEST_F(PostgresConnection, StopBetweenTwoStatementsLeavesNoTransactionToJoin) {
    auto db = Connection::connect(options, stop.token());
    EXPECT_THROW(
        db.transaction([&](Connection& in) {
            insert(in, "half");
            stop.request_stop();
            insert(in, "other half");
        }),
        Error
    );
    EXPECT_TRUE(db.broken());
    db.set_stop({});
    EXPECT_THROW(db.transaction([](Connection& in) { insert(in, "joined"); }), Error);
    EXPECT_EQ(committed(), "");
}

TEST_F(PostgresConnection, StoppedTransactionIsNotHandedOnByThePool) {
    postgres::Pool pool(options, 1);
    {
        auto lease = pool.take(stop.token());
        EXPECT_THROW(
            lease->transaction([&](Connection& in) {
                insert(in, "half");
                stop.request_stop();
                insert(in, "other half");
            }),
            Error
        );
    }
    pool.take()->transaction([](Connection& in) { insert(in, "next"); });
    EXPECT_EQ(committed(), "next");
}

// The connection is idle again only after the first ROLLBACK: a stop while a statement runs has the same end.
TEST_F(PostgresConnection, StopDuringAStatementIsNotHandedOnByThePool) {
    postgres::Pool pool(options, 1);
    {
        auto lease = pool.take(stop.token());
        stop.request_stop();
        EXPECT_THROW(lease->exec("select pg_sleep(60)"), Error);
    }
    {
        auto lease = pool.take();
        lease->exec("begin");  // by hand: nobody rolls it back
        insert(*lease, "lost");
    }
    pool.take()->transaction([](Connection& in) { insert(in, "next"); });
    EXPECT_EQ(committed(), "next");
}

TEST_F(PostgresConnection, StopBeforeCommitIsKnownToHaveCommittedNothing) {
    auto db = Connection::connect(options, stop.token());
    try {
        db.transaction([&](Connection& in) {
            insert(in, "whole");
            stop.request_stop("cancelled by a test");
        });
        ADD_FAILURE() << "it committed";
    } catch (const postgres::CommitUnknown& e) {
        ADD_FAILURE() << "COMMIT was never sent, and yet: " << e.what();
    } catch (const Error& e) {
        EXPECT_NE(std::string(e.what()).find("cancelled by a test"), std::string::npos) << e.what();
    }
    EXPECT_EQ(committed(), "");
}

TEST_F(PostgresConnection, FailureThatTheBodyPassesOverIsNoCommit) {
    auto db = Connection::connect(options);
    try {
        db.transaction([](Connection& in) {
            insert(in, "whole");
            EXPECT_THROW(in.exec("select 1 / 0"), postgres::SqlError);
        });
        ADD_FAILURE() << "it committed";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "postgres.query");
    }
    EXPECT_EQ(committed(), "");
    db.transaction([](Connection& in) { insert(in, "next"); });
    EXPECT_EQ(committed(), "next");
}

TEST_F(PostgresConnection, InnerTransactionJoinsTheOuterOne) {
    auto db = Connection::connect(options);
    EXPECT_THROW(
        db.transaction([](Connection& outer) {
            outer.transaction([](Connection& inner) { insert(inner, "inner"); });
            throw Error(ErrorKind::permanent, "internal", "the outer one fails");
        }),
        Error
    );
    EXPECT_EQ(committed(), "");
    EXPECT_FALSE(db.broken());
}

}  // namespace
}  // namespace headrace
