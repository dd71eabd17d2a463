// Outputs in a Redis Cluster of three nodes whose slots move.
#include "base/error.hpp"
#include "support/scene.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::run_of;
using support::servers;
using support::Stack;

constexpr int cluster_rows = 500;

std::uint16_t free_port() {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), size);
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size);
    return ntohs(name.sin_port);
}

struct ClusterNode {
    explicit ClusterNode(std::uint16_t bus_port)
        : bus(bus_port),
          server(
              {.dir = servers().fresh_folder() + "/node",
               .append_only = false,
               .tcp = true,
               .settings =
                   {{"requirepass", "\"\""},
                    {"cluster-enabled", "yes"},
                    {"cluster-node-timeout", "15000"},
                    {"cluster-port", std::to_string(bus_port)}}}
          ) {
        server.start({});
        connection.emplace(redis::Connection::connect(
            redis::parse_redis_url(fmt::format("redis+unix://{}?db=0", server.socket())), StopToken()
        ));
        id = ask({"CLUSTER", "MYID"}).text();
    }

    redis::Reply ask(redis::Connection::List command) { return connection->command(command); }

    std::string port() const { return std::to_string(server.port()); }

    std::uint16_t bus;
    app::PrivateRedis server;
    std::optional<redis::Connection> connection;
    std::string id;
};

class Cluster : public testing::Test {
protected:
    Cluster() {
        constexpr std::array<std::pair<const char*, const char*>, 3> slots{
            {{"0", "5460"}, {"5461", "10922"}, {"10923", "16383"}}};
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            nodes[i] = std::make_unique<ClusterNode>(free_port());
            nodes[i]->ask({"CLUSTER", "ADDSLOTSRANGE", slots[i].first, slots[i].second});
            if (i > 0) {
                nodes[i]->ask({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
                nodes[0]->ask({"CLUSTER", "MEET", "127.0.0.1", nodes[i]->port(), std::to_string(nodes[i]->bus)});
            }
        }
        EXPECT_TRUE(stack.await([&] {
            return std::all_of(nodes.begin(), nodes.end(), [](const auto& node) {
                const auto info = node->ask({"CLUSTER", "INFO"}).text();
                return redis::info_field(info, "cluster_state") == "ok" &&
                       redis::info_field(info, "cluster_known_nodes") == "3";
            });
        })) << "the nodes do not find each other";
        stack.write_versioned_pipeline(cluster_rows);
        stack.write_pipeline(
            "t",
            fmt::format(
                "source:\n  type: clickhouse\n  credential: clickhouse\n  query: |\n"
                "    SELECT number AS id, (SELECT max(v) FROM version) AS v FROM system.numbers LIMIT {}\n"
                "sinks:\n  - {{ type: redis, as: json, key: \"{{a}}:json\" }}\n"
                "  - {{ type: redis, as: list, key: \"{{b}}:list\", chunk_rows: 100 }}\n"
                "  - {{ type: redis, as: hash, key: \"{{c}}:hash\", field: id }}\n"
                "retry: {{ attempts: 3, backoff: 100ms, max: 200ms }}\n",
                cluster_rows
            )
        );
        stack.set_version(1);
        worker = start_worker();
    }

    std::unique_ptr<support::HeadraceProcess> start_worker(support::HeadraceProcess::Env more = {}) {
        more.emplace_back("CACHE_REDIS_URL", fmt::format("redis+cluster://127.0.0.1:{}", nodes[0]->port()));
        return stack.start_worker(more);
    }

    void run_to_version(int version) {
        stack.set_version(version);
        const auto run_id = stack.trigger("t");
        ASSERT_EQ(stack.await_final(run_id), "succeeded") << worker->log();
        expect_shown(version);
    }

    ClusterNode& owner_of(std::string_view key) {
        const auto slot = slot_of(key);
        for (auto& node : nodes) {
            // Slots of a node are what it does not refuse.
            if (!node->connection->command_raw({"EXISTS", key}).is_error()) {
                return *node;
            }
        }
        throw std::runtime_error("nobody has slot " + slot);
    }

    std::string slot_of(std::string_view key) {
        return std::to_string(nodes[0]->ask({"CLUSTER", "KEYSLOT", key}).integer());
    }

    void begin_move(std::string_view key, ClusterNode& from, ClusterNode& to) {
        to.ask({"CLUSTER", "SETSLOT", slot_of(key), "IMPORTING", from.id});
        from.ask({"CLUSTER", "SETSLOT", slot_of(key), "MIGRATING", to.id});
    }

    void move_keys(std::string_view key, ClusterNode& from, ClusterNode& to, std::string_view with_text = "") {
        const auto names = from.ask({"CLUSTER", "GETKEYSINSLOT", slot_of(key), "1000"});
        for (const auto& name : names.elements()) {
            if (name.str().find(with_text) != std::string::npos) {
                from.ask({"MIGRATE", "127.0.0.1", to.port(), name.str(), "0", "5000"});
            }
        }
    }

    void end_move(std::string_view key, ClusterNode& to) {
        to.ask({"CLUSTER", "SETSLOT", slot_of(key), "NODE", to.id});
        for (auto& node : nodes) {
            node->ask({"CLUSTER", "SETSLOT", slot_of(key), "NODE", to.id});
        }
    }

    ClusterNode& another(const ClusterNode& node) { return node.id == nodes[0]->id ? *nodes[1] : *nodes[0]; }

    void expect_shown(int version) {
        const auto json = owner_of("{a}:json").ask({"GET", "{a}:json"}).text();
        const auto seen = support::look_at(json, cluster_rows);
        EXPECT_EQ(seen.problem, "");
        EXPECT_EQ(seen.version, version);
        EXPECT_EQ(owner_of("{b}:list").ask({"LLEN", "{b}:list"}).integer(), cluster_rows / 100);
        EXPECT_EQ(owner_of("{c}:hash").ask({"HLEN", "{c}:hash"}).integer(), cluster_rows);
        const auto one = owner_of("{c}:hash").ask({"HGET", "{c}:hash", "7"}).text();
        EXPECT_NE(one.find(fmt::format("\"v\":{}", version)), std::string::npos) << one;
    }

    std::array<std::unique_ptr<ClusterNode>, 3> nodes;
    Stack stack;
    std::unique_ptr<support::HeadraceProcess> worker;
};

TEST_F(Cluster, F14_OutputsFollowASlotThatHasMoved) {
    run_to_version(1);
    auto& from = owner_of("{a}:json");
    EXPECT_NE(from.id, owner_of("{b}:list").id);
    EXPECT_NE(from.id, owner_of("{c}:hash").id);
    auto& to = another(from);
    begin_move("{a}:json", from, to);
    move_keys("{a}:json", from, to);
    end_move("{a}:json", to);
    EXPECT_EQ(owner_of("{a}:json").id, to.id);
    run_to_version(2);
    EXPECT_EQ(
        run_of(stack, "attempt || ' ' || crash_count", stack.sql("select max(run_id::text) as x from etl_runs")), "1 0"
    );
    // What is missing in its new place is healed there as well.
    to.ask({"DEL", "{a}:json"});
    EXPECT_TRUE(stack.await([&] { return to.ask({"EXISTS", "{a}:json"}).integer() == 1; })) << worker->log();
    expect_shown(2);
}

// The rows that were staged are at the new node already, what readers see is at the old one.
TEST_F(Cluster, F14_NothingIsPublishedFromHalfASlot) {
    run_to_version(1);
    worker->terminate(seconds(10));
    worker = start_worker({{"HEADRACE_KILL_AT", "K12:stop"}});
    stack.set_version(2);
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(worker->wait_until_stopped()) << worker->log();
    auto& from = owner_of("{a}:json");
    auto& to = another(from);
    begin_move("{a}:json", from, to);
    move_keys("{a}:json", from, to, ":s:");
    worker->resume();
    ASSERT_TRUE(worker->wait_for_log("TRYAGAIN", seconds(20))) << worker->log();
    EXPECT_EQ(run_of(stack, "state", run_id), "committed");
    EXPECT_EQ(support::look_at(from.ask({"GET", "{a}:json"}).text(), cluster_rows).version, 1);
    move_keys("{a}:json", from, to);
    end_move("{a}:json", to);
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << worker->log();
    expect_shown(2);
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id), "1 0");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "3");
}

}  // namespace
}  // namespace headrace
