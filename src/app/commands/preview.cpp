// headrace preview: the first rows of a pipeline, and what would happen to them. Writes nothing anywhere.
#include "run/preview.hpp"

#include "app/commands.hpp"
#include "app/context.hpp"
#include "app/text_table.hpp"
#include "data/json.hpp"
#include "pipeline/parse.hpp"

#include <fmt/core.h>

#include <filesystem>

namespace headrace::app {
namespace {

constexpr std::size_t most_rows = 10'000;
constexpr std::size_t most_cell = 40;  // characters

struct PreviewWords {
    std::string name;
    std::size_t rows = 20;
    bool quiet = false;
};

// The file as it is now, whether a worker has seen it or not.
pipeline::Definition read_definition(const Context& context, const std::string& name) {
    for (const auto& file : pipeline::load_folder(context.config.pipelines, context.registry)) {
        if (file.definition.name != name && std::filesystem::path(file.definition.place.file).stem() != name) {
            continue;
        }
        if (!file.ok()) {
            throw Error(ErrorKind::invalid, "pipeline.invalid", file.problems.front().text())
                .with_hint("`headrace check` shows everything that is wrong.");
        }
        return file.definition;
    }
    throw Error(
        ErrorKind::invalid,
        "pipeline.not_found",
        fmt::format("there is no {}.yaml in {}", name, context.config.pipelines)
    );
}

std::optional<std::string> watermark_of(postgres::Connection& db, const pipeline::Definition& definition) {
    if (!definition.incremental) {
        return std::nullopt;
    }
    const auto rows = db.exec(
        "select value from etl_watermarks where pipeline = $1 and cursor_column = $2",
        {definition.name, definition.incremental->column}
    );
    return rows.empty() ? std::nullopt : std::make_optional(std::string(rows.text(0, "value")));
}

void print_schema(const run::Preview& seen) {
    TextTable table({"COLUMN", "TYPE", "FROM THE SOURCE"});
    for (const auto& field : seen.schema.fields) {
        const auto at = seen.source.index_of(field.name);
        const auto before = at ? data::type_text(seen.source.fields[*at]) : std::string("-");
        table.add({field.name, data::type_text(field), before == data::type_text(field) ? "the same" : before});
    }
    fmt::print("{}\n", table.text());
}

void print_rows(const run::Preview& seen) {
    std::vector<std::string> names;
    for (const auto& field : seen.schema.fields) {
        names.push_back(field.name);
    }
    TextTable table(std::move(names), most_cell);
    for (std::size_t row = 0; row < seen.rows.rows(); ++row) {
        std::vector<std::string> cells;
        for (std::size_t i = 0; i < seen.rows.width(); ++i) {
            data::Buffer<char> text;
            data::append_plain_value(text, seen.rows.column(i), row);
            cells.emplace_back(seen.rows.column(i).is_null(row) ? "NULL" : data::view(text));
        }
        table.add(std::move(cells));
    }
    fmt::print("{}\n", table.text());
}

void print_account(const run::Preview& seen) {
    fmt::print(
        "{} rows shown{}; {} read, {} filtered, {} rejected\n",
        seen.rows.rows(),
        seen.whole ? ": all that there are" : "",
        seen.read,
        seen.filtered,
        seen.rejected
    );
    if (seen.range) {
        fmt::print("{} from {} to {}\n", seen.range->column, seen.range->from, seen.range->to.value_or("the end"));
    }
    for (const auto& reject : seen.rejects) {
        fmt::print("rejected row {}, {}: {}\n  {}\n", reject.row, reject.step, reject.why, reject.content);
    }
    if (!seen.verdict.empty()) {
        fmt::print("would not be published: {}\n", seen.verdict);
    }
    fmt::print("nothing was written\n");
}

int preview(const PreviewWords& words) {
    const StopOnSignal interrupt;  // Ctrl-C ends the read, and with it the query at the source
    const auto context = Context::load();
    const auto definition = read_definition(context, words.name);
    auto db = context.connect_db(interrupt.token());
    pipeline::Credential credential;
    if (!definition.source.credential.empty()) {
        require(context.config.key_file, "HEADRACE_KEY_FILE");
        credential = context.credential(db, definition.source.credential);
    }
    const auto seen = run::preview(
        context.registry,
        definition,
        credential,
        {.rows = words.rows,
         .stop = interrupt.token(),
         .deadline = Deadline::in(definition.timeout),
         .watermark = watermark_of(db, definition),
         .log =
             [&](std::string_view level, const std::string& message) {
                 if (!words.quiet && level != "debug") {
                     fmt::print(stderr, "{}\n", message);
                 }
             }}
    );
    print_schema(seen);
    print_rows(seen);
    print_account(seen);
    return 0;
}

}  // namespace

void add_preview(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("preview", "Show the first rows of a pipeline; writes nothing");
    auto words = std::make_shared<PreviewWords>();
    command->add_option("pipeline", words->name, "Its name: a file in the pipelines folder")->required();
    command->add_option("-n,--rows", words->rows, "How many rows")->check(CLI::Range(std::size_t{1}, most_rows));
    command->add_flag("-q,--quiet", words->quiet, "Leave out what the source says meanwhile");
    command->callback([&chosen, words] { chosen = [words] { return preview(*words); }; });
}

}  // namespace headrace::app
