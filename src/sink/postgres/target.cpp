#include "sink/postgres/target.hpp"

#include "postgres/quote.hpp"
#include "postgres/staging.hpp"

#include <fmt/core.h>

namespace headrace::sink::postgres_sink {
namespace {

using postgres::Connection;

// typbasetype: a domain has rules of its own that are not looked at here; its base is "" and nothing fits it.
constexpr std::string_view columns_sql =
    "select a.attname as name, format_type(a.atttypid, a.atttypmod) as sql_type, a.atttypmod as modifier,"
    " case when t.typtype = 'b' and n.nspname = 'pg_catalog' then t.typname else '' end as base,"
    " a.attnotnull as not_null, a.atthasdef or a.attidentity <> '' as has_default, a.attgenerated <> '' as generated"
    " from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = t.typnamespace"
    " where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum";

// ON CONFLICT takes what is unique at once, over plain columns and all rows.
constexpr std::string_view indexes_sql =
    "select c.relname as name, coalesce(pg_get_constraintdef(k.oid), '') as definition,"
    " case when i.indisunique then 'UNIQUE ' else '' end as unique_word,"
    " substr(pg_get_indexdef(i.indexrelid), strpos(pg_get_indexdef(i.indexrelid), ' USING ') + 1) as rest,"
    " coalesce(obj_description(i.indexrelid, 'pg_class'), '') as comment,"
    " coalesce(obj_description(k.oid, 'pg_constraint'), '') as constraint_comment,"
    " case when i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null then"
    "  (select array_agg(a.attname::text order by x.n) from unnest(i.indkey::int2[]) with ordinality x(attnum, n)"
    "   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = x.attnum where x.n <= i.indnkeyatts)"
    "  else '{}' end as columns"
    " from pg_index i join pg_class c on c.oid = i.indexrelid"
    " left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x') and k.conrelid = $1::oid"
    " where i.indrelid = $1::oid order by i.indexrelid";

// Everything that names the table and would be lost, or would hold on to the old one, if another took its place; but
// for what is rebuilt (columns, defaults, checks, indexes, keys, grants, comments, settings).
// (Options of a column that begin with pg_ are the server's own: 15.20 keeps a version there.)
constexpr std::string_view obstacles_sql =
    "select pg_describe_object(d.classid, d.objid, d.objsubid) as reason from pg_depend d"
    " where d.refclassid = 'pg_class'::regclass and d.refobjid = $1::oid"
    " and not (d.classid = 'pg_type'::regclass and d.deptype = 'i')"
    " and not (d.classid = 'pg_class'::regclass and d.objid = $1::oid)"
    " and not (d.classid = 'pg_class'::regclass and exists (select 1 from pg_class t where t.oid = $1::oid and"
    "  t.reltoastrelid = d.objid))"
    " and not (d.classid = 'pg_class'::regclass and exists (select 1 from pg_index i where i.indexrelid = d.objid and"
    "  i.indrelid = $1::oid))"
    " and not (d.classid = 'pg_attrdef'::regclass and exists (select 1 from pg_attrdef a where a.oid = d.objid and"
    "  a.adrelid = $1::oid))"
    " and not (d.classid = 'pg_constraint'::regclass and exists (select 1 from pg_constraint k where k.oid = d.objid"
    "  and k.conrelid = $1::oid and k.contype in ('c', 'n', 'p', 'u', 'x')))"
    " union select pg_describe_object(d.classid, d.objid, d.objsubid) from pg_class c join pg_type t on t.oid ="
    "  c.reltype join pg_depend d on d.refclassid = 'pg_type'::regclass and d.refobjid in (t.oid, t.typarray) and not"
    "  (d.classid = 'pg_type'::regclass and d.objid = t.typarray) where c.oid = $1::oid"
    " union select 'inheritance from ' || inhparent::regclass from pg_inherits where inhrelid = $1::oid"
    " union select 'publication ' || p.pubname from pg_publication_tables p, pg_class c, pg_namespace n"
    "  where c.oid = $1::oid and n.oid = c.relnamespace and p.schemaname = n.nspname and p.tablename = c.relname"
    " union select 'extension ' || e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid"
    "  where d.classid = 'pg_class'::regclass and d.objid = $1::oid and d.deptype = 'e'"
    " union select 'default privileges of ' || current_user from pg_default_acl where defaclobjtype = 'r' and"
    "  defaclrole = (select oid from pg_roles where rolname = current_user) and (defaclnamespace = 0 or"
    "  defaclnamespace = (select oid from pg_namespace where nspname = $2))"
    " union select 'privileges on the column ' || attname from pg_attribute where attrelid = $1::oid and attacl is not"
    "  null"
    " union select 'settings of the column ' || attname from pg_attribute where attrelid = $1::oid and attnum > 0 and"
    "  (attstattarget >= 0 or exists (select from pg_options_to_table(attoptions) where option_name not like 'pg\\_%'))"
    " union select 'an index that is not valid' from pg_index where indrelid = $1::oid and not indisvalid"
    " union select 'CLUSTER' from pg_index where indrelid = $1::oid and indisclustered"
    " union select 'privileges that others than the owner granted' from pg_class c, aclexplode(c.relacl) g where"
    "  c.oid = $1::oid and g.grantor <> c.relowner"
    " union select reason from pg_class c left join pg_class t on t.oid = c.reltoastrelid, lateral (values"
    "  ('its partitions', c.relkind = 'p'), ('its owner is another role', not pg_has_role(c.relowner, 'USAGE')),"
    "  ('row-level security', c.relrowsecurity or c.relforcerowsecurity), ('its tablespace', c.reltablespace <> 0),"
    "  ('being unlogged or temporary', c.relpersistence <> 'p'), ('its replica identity', c.relreplident <> 'd'),"
    "  ('settings of its TOAST table', t.reloptions is not null)) x(reason, is_so) where c.oid = $1::oid and x.is_so"
    " order by 1";

constexpr std::string_view grants_sql =
    "select g.privilege_type as privilege, case when g.grantee = 0 then 'PUBLIC' else"
    " quote_ident(pg_get_userbyid(g.grantee)) end || case when g.is_grantable then ' WITH GRANT OPTION' else '' end"
    " as recipient from pg_class c, aclexplode(c.relacl) g where c.oid = $1::oid and g.grantee <> c.relowner";

constexpr std::string_view settings_sql =
    "select quote_ident(option_name) || ' = ' || quote_literal(option_value) as words from pg_class c,"
    " pg_options_to_table(c.reloptions) where c.oid = $1::oid";

constexpr std::string_view cascades_sql =
    "select pg_describe_object('pg_constraint'::regclass, oid, 0) as words from pg_constraint where confrelid ="
    " $1::oid and contype = 'f' and confdeltype in ('c', 'n', 'd')";

std::vector<std::string> words(Connection& db, std::string_view sql, std::int64_t oid) {
    const auto rows = db.exec(sql, {oid});
    std::vector<std::string> out;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        out.emplace_back(rows.text(i, "words"));
    }
    return out;
}

void read_columns(Connection& db, Target& target) {
    const auto rows = db.exec(columns_sql, {target.oid});
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        target.columns.push_back(
            {.name = std::string(rows.text(i, "name")),
             .sql_type = std::string(rows.text(i, "sql_type")),
             .type = {std::string(rows.text(i, "base")), static_cast<int>(rows.integer(i, "modifier"))},
             .not_null = rows.boolean(i, "not_null"),
             .has_default = rows.boolean(i, "has_default"),
             .generated = rows.boolean(i, "generated")}
        );
    }
}

void read_indexes(Connection& db, Target& target) {
    const auto rows = db.exec(indexes_sql, {target.oid});
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        target.indexes.push_back(
            {.name = std::string(rows.text(i, "name")),
             .constraint = std::string(rows.text(i, "definition")),
             .unique = std::string(rows.text(i, "unique_word")),
             .rest = std::string(rows.text(i, "rest")),
             .comment = std::string(rows.text(i, "comment")),
             .constraint_comment = std::string(rows.text(i, "constraint_comment")),
             .columns = rows.array(i, "columns")}
        );
    }
}

void read_grants(Connection& db, Target& target) {
    const auto rows = db.exec(grants_sql, {target.oid});
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        target.grants.push_back({std::string(rows.text(i, "privilege")), std::string(rows.text(i, "recipient"))});
    }
}

void read_obstacles(Connection& db, Target& target) {
    const auto rows = db.exec(obstacles_sql, {target.oid, postgres::staging_schema});
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        target.obstacles.emplace_back(rows.text(i, "reason"));
    }
    // A name with " USING " in it would be read wrongly.
    for (const auto& index : target.indexes) {
        if (index.name.find(" USING ") != std::string::npos) {
            target.obstacles.push_back("index " + index.name);
        }
    }
}

}  // namespace

const TargetColumn* Target::find(std::string_view name) const {
    for (const auto& column : columns) {
        if (column.name == name) {
            return &column;
        }
    }
    return nullptr;
}

// Every change of a table, its columns, indexes and privileges writes a new version of a catalog row (xmin); VACUUM and
// ANALYZE change theirs in place.
std::string shape_sql(std::int64_t oid) {
    return fmt::format(
        "(select md5(concat_ws('|', c.oid, c.xmin, (select string_agg(concat_ws(',', a.attnum, a.xmin), ';' order by"
        " a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0), (select"
        " string_agg(concat_ws(',', i.indexrelid, i.xmin), ';' order by i.indexrelid) from pg_index i where i.indrelid"
        " = c.oid), (select concat(count(*), ',', sum(d.objid::bigint)) from pg_depend d where d.refclassid ="
        " 'pg_class'::regclass and d.refobjid = c.oid))) from pg_class c where c.oid = {}::oid)",
        oid
    );
}

std::optional<Target> inspect(Connection& db, const Spec& spec) {
    const auto row = db.exec(
        "select c.oid::bigint as oid, c.relkind, coalesce(obj_description(c.oid, 'pg_class'), '') as comment,"
        " case when pg_get_userbyid(c.relowner) = current_user then '' else pg_get_userbyid(c.relowner) end as owner"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2",
        {spec.schema, spec.table}
    );
    if (row.empty()) {
        return std::nullopt;
    }
    if (row.text(0, "relkind") != "r" && row.text(0, "relkind") != "p") {
        throw Error(ErrorKind::permanent, "sink.invalid", fmt::format("{} is there and is not a table", spec.name()))
            .with_hint("Name another table, or drop what has this name.");
    }
    Target target;
    target.oid = row.integer(0, "oid");
    target.partitioned = row.text(0, "relkind") == "p";
    target.owner = row.text(0, "owner");
    target.comment = row.text(0, "comment");
    target.shape = db.exec("select " + shape_sql(target.oid) + " as shape").text(0, "shape");
    read_columns(db, target);
    read_indexes(db, target);
    read_obstacles(db, target);
    target.settings = words(db, settings_sql, target.oid);
    read_grants(db, target);
    target.cascades = words(db, cascades_sql, target.oid);
    return target;
}

}  // namespace headrace::sink::postgres_sink
