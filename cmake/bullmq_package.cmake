# The BullMQ library for other programs: `cmake --install build/release --component bullmq --prefix …`, then
# find_package(HeadraceBullmq) and target_link_libraries(… Headrace::bullmq).
include(CMakePackageConfigHelpers)

add_library(Headrace::bullmq ALIAS headrace_bullmq)
set_target_properties(headrace_bullmq PROPERTIES EXPORT_NAME bullmq)
install(TARGETS headrace_base headrace_net headrace_redis headrace_bullmq EXPORT HeadraceBullmq
        ARCHIVE DESTINATION lib COMPONENT bullmq)
install(EXPORT HeadraceBullmq NAMESPACE Headrace:: DESTINATION lib/cmake/HeadraceBullmq COMPONENT bullmq)
foreach(folder base net redis bullmq)
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/${folder} DESTINATION include/headrace COMPONENT bullmq
            FILES_MATCHING PATTERN "*.hpp")
endforeach()
# The embedded scripts are BullMQ's: their licence goes where they go.
install(FILES ${CMAKE_SOURCE_DIR}/node_modules/bullmq/LICENSE DESTINATION share/doc/headrace-bullmq RENAME LICENSE.bullmq
        COMPONENT bullmq)
install(FILES ${CMAKE_SOURCE_DIR}/src/bullmq/README.md DESTINATION share/doc/headrace-bullmq COMPONENT bullmq)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/HeadraceBullmqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/HeadraceBullmqConfig.cmake ${CMAKE_BINARY_DIR}/HeadraceBullmqConfigVersion.cmake
        DESTINATION lib/cmake/HeadraceBullmq COMPONENT bullmq)
