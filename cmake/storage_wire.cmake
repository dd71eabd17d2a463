# BigQuery's Storage Read API: the generated code (one object, no warnings) and the module with gRPC in it, which the
# program loads at the first use (src/source/bigquery/storage/wire.hpp). Nothing else of the program needs gRPC.
pkg_check_modules(grpc REQUIRED IMPORTED_TARGET grpc++)
find_library(HEADRACE_PROTOBUF_LITE protobuf-lite REQUIRED)
find_program(HEADRACE_PROTOC protoc REQUIRED)
find_program(HEADRACE_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)

set(storage_dir ${CMAKE_SOURCE_DIR}/src/source/bigquery/storage)
set(generated_dir ${CMAKE_BINARY_DIR}/storage_api)
set(generated ${generated_dir}/storage.pb.cc ${generated_dir}/storage.grpc.pb.cc)
file(MAKE_DIRECTORY ${generated_dir})
add_custom_command(
    OUTPUT ${generated} ${generated_dir}/storage.pb.h ${generated_dir}/storage.grpc.pb.h
    COMMAND ${HEADRACE_PROTOC} -I ${storage_dir} --cpp_out=${generated_dir} --grpc_out=${generated_dir}
            --plugin=protoc-gen-grpc=${HEADRACE_GRPC_PLUGIN} storage.proto
    DEPENDS ${storage_dir}/storage.proto VERBATIM)
add_library(headrace_storage_api STATIC ${generated})
set_target_properties(headrace_storage_api PROPERTIES
    UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0 CXX_VISIBILITY_PRESET hidden)
target_compile_options(headrace_storage_api PRIVATE -w)
target_include_directories(headrace_storage_api SYSTEM PUBLIC ${generated_dir})
target_link_libraries(headrace_storage_api PUBLIC PkgConfig::grpc ${HEADRACE_PROTOBUF_LITE})

if(HEADRACE_SANITIZE)
    # The undefined-behaviour sanitizer tells types apart by addresses that the two sides of a module do not share: here
    # the module is part of the program.
    set_source_files_properties(${storage_dir}/wire_module.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    target_sources(headrace_source PRIVATE ${storage_dir}/wire_module.cpp)
    target_compile_definitions(headrace_source PRIVATE HEADRACE_STORAGE_WIRE_LINKED=1)
    target_link_libraries(headrace_source PRIVATE headrace_storage_api)
    add_custom_target(headrace_storage_wire)
    return()
endif()
add_library(headrace_storage_wire MODULE ${storage_dir}/wire_module.cpp)
set_target_properties(headrace_storage_wire PROPERTIES
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_include_directories(headrace_storage_wire PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(headrace_storage_wire PRIVATE headrace_storage_api)
install(TARGETS headrace_storage_wire LIBRARY DESTINATION lib/headrace)
