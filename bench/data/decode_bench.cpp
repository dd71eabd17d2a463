// Decoding ClickHouse's Native format from memory: bytes/s of input and rows/s on one core, beside the floor (memcpy).
#include "customers.hpp"
#include "source/clickhouse/decode.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

namespace headrace::bench {
namespace {

using source::clickhouse::ByteReader;
using source::clickhouse::NativeDecoder;

constexpr std::uint32_t block_rows = 16'384;
constexpr std::size_t piece_bytes = 256 * 1024;  // as the HTTP client hands them out

std::string text(std::string_view value) {  // shorter than 128 bytes
    return static_cast<char>(value.size()) + std::string(value);
}

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string head(std::size_t columns) {
    std::string out;
    for (std::uint64_t value : {static_cast<std::uint64_t>(columns), std::uint64_t{block_rows}}) {
        for (; value >= 0x80; value >>= 7) {
            out += static_cast<char>(value | 0x80);
        }
        out += static_cast<char>(value);
    }
    return out;
}

template <class Write>
std::string column(std::string_view name, std::string_view type, Write write) {
    std::string out = text(name) + text(type);
    for (std::uint32_t i = 0; i < block_rows; ++i) {
        write(out, customer(i));
    }
    return out;
}

std::string customers_block() {
    return head(8) + column("user_id", "UInt64", [](auto& out, const Customer& c) { put(out, c.user_id); }) +
           column("email", "String", [](auto& out, const Customer& c) { out += text(c.email); }) +
           column("city", "String", [](auto& out, const Customer& c) { out += text(c.city); }) +
           column("segment", "String", [](auto& out, const Customer& c) { out += text(c.segment); }) +
           column("orders", "Int32", [](auto& out, const Customer& c) { put(out, c.orders); }) +
           column("revenue", "Float64", [](auto& out, const Customer& c) { put(out, c.revenue); }) +
           column("is_active", "UInt8", [](auto& out, const Customer& c) { put(out, c.is_active); }) +
           column("last_seen", "DateTime", [](auto& out, const Customer& c) { put(out, c.last_seen); });
}

void decode(benchmark::State& state, const std::string& bytes) {
    data::Batch batch;
    for (auto _ : state) {
        std::string_view rest = bytes;
        ByteReader in([&] {
            const auto piece = rest.substr(0, piece_bytes);
            rest.remove_prefix(piece.size());
            return piece;
        });
        NativeDecoder decoder(in, {});
        while (decoder.next_block(batch)) {
            benchmark::DoNotOptimize(batch.column(0).size());
        }
    }
    const auto times = static_cast<std::int64_t>(state.iterations());
    state.SetItemsProcessed(times * block_rows);
    state.SetBytesProcessed(times * static_cast<std::int64_t>(bytes.size()));
}

void decode_mixed(benchmark::State& state) {
    decode(state, customers_block());
}

BENCHMARK(decode_mixed);

void decode_fixed(benchmark::State& state) {
    decode(
        state,
        head(3) + column("user_id", "UInt64", [](auto& out, const Customer& c) { put(out, c.user_id); }) +
            column("revenue", "Float64", [](auto& out, const Customer& c) { put(out, c.revenue); }) +
            column("day", "Int64", [](auto& out, const Customer& c) { put(out, std::int64_t{c.last_seen}); })
    );
}

BENCHMARK(decode_fixed);

void decode_narrow(benchmark::State& state) {
    decode(state, head(3) + column("orders", "Int32", [](auto& out, const Customer& c) {
                      put(out, c.orders);
                  }) + column("last_seen", "DateTime", [](auto& out, const Customer& c) {
                      put(out, c.last_seen);
                  }) + column("is_active", "UInt8", [](auto& out, const Customer& c) { put(out, c.is_active); }));
}

BENCHMARK(decode_narrow);

void decode_strings(benchmark::State& state) {
    decode(state, head(1) + column("email", "String", [](auto& out, const Customer& c) { out += text(c.email); }));
}

BENCHMARK(decode_strings);

void decode_short_strings(benchmark::State& state) {
    decode(state, head(1) + column("city", "String", [](auto& out, const Customer& c) { out += text(c.city); }));
}

BENCHMARK(decode_short_strings);

void decode_nullable(benchmark::State& state) {
    std::string flags;
    for (std::uint32_t i = 0; i < block_rows; ++i) {
        flags += i % 50 == 0 ? '\1' : '\0';
    }
    auto values = column("n", "Nullable(UInt64)", [](auto& out, const Customer& c) { put(out, c.user_id); });
    values.insert(text("n").size() + text("Nullable(UInt64)").size(), flags);
    decode(state, head(1) + values);
}

BENCHMARK(decode_nullable);

void floor_memcpy_block(benchmark::State& state) {
    const auto bytes = customers_block();
    std::string copy(bytes.size(), '\0');
    for (auto _ : state) {
        std::memcpy(copy.data(), bytes.data(), bytes.size());
        benchmark::DoNotOptimize(copy.data());
        benchmark::ClobberMemory();
    }
    const auto times = static_cast<std::int64_t>(state.iterations());
    state.SetItemsProcessed(times * block_rows);
    state.SetBytesProcessed(times * static_cast<std::int64_t>(bytes.size()));
}

BENCHMARK(floor_memcpy_block);

}  // namespace
}  // namespace headrace::bench
