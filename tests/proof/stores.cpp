#include "proof/stores.hpp"

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

#include <stdexcept>

namespace headrace::proof {
namespace {

Answer answer_of(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_ERROR) {
        throw std::runtime_error("redis: " + std::string(reply.str, reply.len));
    }
    Answer answer;
    answer.nil = reply.type == REDIS_REPLY_NIL;
    answer.number = reply.integer;
    if (reply.str != nullptr) {
        answer.text.assign(reply.str, reply.len);
    }
    for (std::size_t i = 0; i < reply.elements; ++i) {
        answer.parts.push_back(answer_of(*reply.element[i]));
    }
    return answer;
}

struct Place {
    std::string socket;
    std::string db = "0";
};

Place place_of(const std::string& url) {
    static const std::string scheme = "redis+unix://";
    if (url.rfind(scheme, 0) != 0) {
        throw std::runtime_error("not the address of a socket: " + url);
    }
    Place place{url.substr(scheme.size()), "0"};
    if (const auto query = place.socket.find("?db="); query != std::string::npos) {
        place.db = place.socket.substr(query + 4);
        place.socket.resize(query);
    }
    return place;
}

}  // namespace

Database::Database(const std::string& url) : connection_(PQconnectdb(url.c_str()), PQfinish) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
        throw std::runtime_error(std::string("postgres: ") + PQerrorMessage(connection_.get()));
    }
}

std::vector<Row> Database::rows(const std::string& sql, const std::vector<std::string>& params) {
    std::vector<const char*> values;
    for (const auto& param : params) {
        values.push_back(param.c_str());
    }
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexecParams(
            connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0
        ),
        PQclear
    );
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        throw std::runtime_error(std::string("postgres: ") + PQerrorMessage(connection_.get()) + " in " + sql);
    }
    std::vector<Row> rows(static_cast<std::size_t>(PQntuples(result.get())));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (int column = 0; column < PQnfields(result.get()); ++column) {
            rows[i].emplace_back(PQgetvalue(result.get(), static_cast<int>(i), column));
        }
    }
    return rows;
}

std::string Database::one(const std::string& sql, const std::vector<std::string>& params) {
    const auto found = rows(sql, params);
    return found.empty() ? std::string() : found[0].at(0);
}

long Database::number(const std::string& sql, const std::vector<std::string>& params) {
    const auto text = one(sql, params);
    return text.empty() ? 0 : std::stol(text);
}

std::string Answer::all_text() const {
    std::string all = text;
    for (const auto& part : parts) {
        all += part.all_text();
    }
    return all;
}

Cache::Cache(const std::string& url) : connection_(nullptr, redisFree) {
    const auto place = place_of(url);
    connection_.reset(redisConnectUnix(place.socket.c_str()));
    if (connection_ == nullptr || connection_->err != 0) {
        throw std::runtime_error("redis: cannot connect to " + place.socket);
    }
    call({"SELECT", place.db});
}

void Cache::send(const std::vector<std::string>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto& word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    redisAppendCommandArgv(connection_.get(), static_cast<int>(words.size()), texts.data(), sizes.data());
}

Answer Cache::answer() {
    void* reply = nullptr;
    if (redisGetReply(connection_.get(), &reply) != REDIS_OK) {
        throw std::runtime_error(std::string("redis: ") + connection_->errstr);
    }
    const std::unique_ptr<void, void (*)(void*)> guard(reply, freeReplyObject);
    return answer_of(*static_cast<redisReply*>(reply));
}

Answer Cache::call(const std::vector<std::string>& words) {
    send(words);
    return answer();
}

}  // namespace headrace::proof
