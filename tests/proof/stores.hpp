// The checker's own eyes: libpq and hiredis, nothing of src/. One thread each. Failures throw std::runtime_error.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct pg_conn;
struct redisContext;

namespace headrace::proof {

using Row = std::vector<std::string>;  // NULL is ""

class Database {
public:
    explicit Database(const std::string& url);
    std::vector<Row> rows(const std::string& sql, const std::vector<std::string>& params = {});
    std::string one(const std::string& sql, const std::vector<std::string>& params = {});  // "" when there is no row
    long number(const std::string& sql, const std::vector<std::string>& params = {});

private:
    std::unique_ptr<pg_conn, void (*)(pg_conn*)> connection_;
};

// A reply: text of strings and states, number of integers, parts of arrays. Error replies throw.
struct Answer {
    bool nil = false;
    std::string text;
    std::int64_t number = 0;
    std::vector<Answer> parts;

    std::string all_text() const;  // of it and its parts, one after the other
};

class Cache {
public:
    explicit Cache(const std::string& url);  // redis+unix:///socket?db=n
    void send(const std::vector<std::string>& words);
    Answer answer();  // of the oldest send() without one
    Answer call(const std::vector<std::string>& words);

private:
    std::unique_ptr<redisContext, void (*)(redisContext*)> connection_;
};

}  // namespace headrace::proof
