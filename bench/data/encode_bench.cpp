// JSON encoding of batches: rows/s and bytes/s of output on one core, beside the floor (memcpy of the same output).
#include "customers.hpp"
#include "data/json.hpp"

#include <benchmark/benchmark.h>

#include <bit>
#include <cstring>
#include <string>

namespace headrace::bench {
namespace {

using data::Kind;

constexpr std::size_t batch_rows = 10'000;

data::Batch customers_batch() {
    data::Schema schema;
    schema.fields = {
        {"user_id", Kind::uint64},
        {"email", Kind::string},
        {"city", Kind::string},
        {"segment", Kind::string},
        {"orders", Kind::int64},
        {"revenue", Kind::float64},
        {"is_active", Kind::int64},
        {"last_seen", Kind::timestamp}};
    data::Batch batch(schema);
    for (std::uint32_t i = 0; i < batch_rows; ++i) {
        const auto c = customer(i);
        batch.column(0).add_uint64(c.user_id);
        batch.column(1).add_text(c.email);
        batch.column(2).add_text(c.city);
        batch.column(3).add_text(c.segment);
        batch.column(4).add_int64(c.orders);
        batch.column(5).add_float64(c.revenue);
        batch.column(6).add_int64(c.is_active);
        batch.column(7).add_int64(static_cast<std::int64_t>(c.last_seen) * 1'000'000);
    }
    return batch;
}

void report(benchmark::State& state, std::size_t rows, std::size_t bytes) {
    const auto times = static_cast<std::int64_t>(state.iterations());
    state.SetItemsProcessed(times * static_cast<std::int64_t>(rows));
    state.SetBytesProcessed(times * static_cast<std::int64_t>(bytes));
}

void encode_mixed(benchmark::State& state) {
    const auto batch = customers_batch();
    const data::JsonEncoder encoder(batch.schema());
    data::Buffer<char> out;
    for (auto _ : state) {
        out.clear();
        encoder.append_objects(out, batch, 0, batch.rows());
        benchmark::DoNotOptimize(out.data());
    }
    report(state, batch.rows(), out.size());
}

BENCHMARK(encode_mixed);

void floor_memcpy(benchmark::State& state) {
    const auto batch = customers_batch();
    const data::JsonEncoder encoder(batch.schema());
    data::Buffer<char> out;
    encoder.append_objects(out, batch, 0, batch.rows());
    data::Buffer<char> copy;
    copy.resize(out.size());
    for (auto _ : state) {
        std::memcpy(copy.data(), out.data(), out.size());
        benchmark::DoNotOptimize(copy.data());
        benchmark::ClobberMemory();
    }
    report(state, batch.rows(), out.size());
}

BENCHMARK(floor_memcpy);

// One column alone.
void encode_column(benchmark::State& state, const data::Column& column) {
    data::Schema schema;
    schema.fields = {{"v", column.kind()}};
    data::Batch batch(schema);
    batch.column(0).append_rows(column, 0, column.size());
    const data::JsonEncoder encoder(schema);
    data::Buffer<char> out;
    for (auto _ : state) {
        out.clear();
        encoder.append_objects(out, batch, 0, batch.rows());
        benchmark::DoNotOptimize(out.data());
    }
    report(state, batch.rows(), out.size());
}

void encode_uint64(benchmark::State& state) {
    data::Column column(Kind::uint64);
    for (std::uint64_t i = 0; i < batch_rows; ++i) {
        column.add_uint64(i * 0x9E3779B97F4A7C15ULL >> (i % 64));
    }
    encode_column(state, column);
}

BENCHMARK(encode_uint64);

void encode_float64_price(benchmark::State& state) {
    data::Column column(Kind::float64);
    for (std::uint32_t i = 0; i < batch_rows; ++i) {
        column.add_float64(customer(i).revenue);
    }
    encode_column(state, column);
}

BENCHMARK(encode_float64_price);

void encode_float64_any(benchmark::State& state) {
    data::Column column(Kind::float64);
    for (std::uint64_t i = 0; i < batch_rows; ++i) {
        column.add_float64(std::bit_cast<double>(0x3ff0000000000000ULL | ((i * 0x9E3779B97F4A7C15ULL) >> 12)));
    }
    encode_column(state, column);
}

BENCHMARK(encode_float64_any);

void encode_timestamp(benchmark::State& state) {
    data::Column column(Kind::timestamp);
    for (std::uint32_t i = 0; i < batch_rows; ++i) {
        column.add_int64(static_cast<std::int64_t>(customer(i).last_seen) * 1'000'000);
    }
    encode_column(state, column);
}

BENCHMARK(encode_timestamp);

void encode_text(benchmark::State& state, std::string_view sample) {
    data::Column column(Kind::string);
    for (std::size_t i = 0; i < batch_rows; ++i) {
        column.add_text(sample);
    }
    encode_column(state, column);
}

BENCHMARK_CAPTURE(encode_text, ascii_short, "Chernivtsi");
BENCHMARK_CAPTURE(encode_text, ascii, "a longer text of plain ASCII letters, such as the name of a product, 64 b");
BENCHMARK_CAPTURE(encode_text, cyrillic_short, "Дніпро");
BENCHMARK_CAPTURE(encode_text, cyrillic, "Довший текст українською мовою, наприклад опис товару у крамниці");
BENCHMARK_CAPTURE(encode_text, chinese, "一個比較長的產品名稱用來測試三個位元組的字元");
BENCHMARK_CAPTURE(encode_text, quotes, "say \"hello\" and \\ go\non with {\"a\":\"b\"} to the end of it");

}  // namespace
}  // namespace headrace::bench
